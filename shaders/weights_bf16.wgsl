// Weights as bf16, eight to a vec4<u32>, low half first. A bf16 is the upper half of an f32, so unpacking is exact.
alias F = f32;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;

fn octet(index: u32) -> Octet {
  let w = weights[index];
  let even = bitcast<vec4<f32>>(w << vec4<u32>(16u));
  let odd = bitcast<vec4<f32>>(w & vec4<u32>(0xffff0000u));
  return Octet(vec4<F>(even.x, odd.x, even.y, odd.y), vec4<F>(even.z, odd.z, even.w, odd.w));
}
fn scale_of(group: u32) -> f32 {
  return 1.0;
}

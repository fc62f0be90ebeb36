// Weights as f16, eight to a vec4<u32>, low half first. Unpacked to f32: runs where shader-f16 does not exist.
alias F = f32;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;

fn octet(index: u32) -> Octet {
  let w = weights[index];
  return Octet(vec4<F>(unpack2x16float(w.x), unpack2x16float(w.y)), vec4<F>(unpack2x16float(w.z), unpack2x16float(w.w)));
}
fn scale_of(group: u32) -> f32 {
  return 1.0;
}

enable f16;
// Weights as f16, products in f16, eight at a time; the sums of eights are f32.
alias F = f16;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>;

fn octet(index: u32) -> Octet {
  let w = weights[index];
  return Octet(
    vec4<F>(bitcast<vec2<f16>>(w.x), bitcast<vec2<f16>>(w.y)),
    vec4<F>(bitcast<vec2<f16>>(w.z), bitcast<vec2<f16>>(w.w)),
  );
}
fn scale_of(group: u32) -> f32 {
  return 1.0;
}

// Weights as f32, [n, K] with K padded to a multiple of 32: an octet is eight consecutive inputs of one output row.
alias F = f32;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;

fn octet(index: u32) -> Octet {
  return Octet(weights[index * 2u], weights[index * 2u + 1u]);
}
fn scale_of(group: u32) -> f32 {
  return 1.0;
}

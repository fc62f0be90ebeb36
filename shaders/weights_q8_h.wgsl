enable f16;
// As weights_q8, products in f16. Weights as int8 in groups of 32 with an f16 scale each: w = q * scale. Two words are an octet, low byte first.
alias F = f16;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;

fn bytes(word: u32) -> vec4<F> {
  return vec4<F>(vec4<i32>(vec4<u32>(word << 24u, word << 16u, word << 8u, word)) >> vec4<u32>(24u));
}
fn octet(index: u32) -> Octet {
  let w = weights[index];
  return Octet(bytes(w.x), bytes(w.y));
}
fn scale_of(group: u32) -> f32 {
  return unpack2x16float(scales[group >> 1u])[group & 1u];
}

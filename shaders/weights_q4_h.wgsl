enable f16;
// As weights_q4, products in f16. Weights as int4 in groups of 32 with an f16 scale each, the layout of MatMulNBits: w = (nibble - 8) * scale, low nibble
// first. A word is an octet.
alias F = f16;
struct Octet { lo: vec4<F>, hi: vec4<F> }
@group(0) @binding(3) var<storage, read> weights: array<u32>;
@group(0) @binding(4) var<storage, read> scales: array<u32>;

fn octet(index: u32) -> Octet {
  let w = weights[index];
  let mask = vec4<u32>(15u);
  return Octet(
    vec4<F>(vec4<i32>((vec4<u32>(w) >> vec4<u32>(0u, 4u, 8u, 12u)) & mask) - vec4<i32>(8)),
    vec4<F>(vec4<i32>((vec4<u32>(w) >> vec4<u32>(16u, 20u, 24u, 28u)) & mask) - vec4<i32>(8)),
  );
}
fn scale_of(group: u32) -> f32 {
  return unpack2x16float(scales[group >> 1u])[group & 1u];
}

// Fragment: the random stream of src/engine/random.ts, which states the rule. Same hash bit for bit; the noise differs from the f64
// reference by rounding only (about 1e-6).

// PCG-RXS-M-XS 32.
fn pcg(value: u32) -> u32 {
  let state = value * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

// The part of the hash that a row of logits shares.
fn hash_position(seed: u32, position: u32) -> u32 {
  return pcg(pcg(seed) ^ position);
}

fn hash_token(row: u32, token: u32) -> u32 {
  return pcg(row ^ token);
}

// -log(-log(u)), u = (top 23 bits + 1/2) / 2^23. WGSL promises log only to an absolute 2^-21 between 1/2 and 2, which near 1 is larger than
// the value itself: the largest noises, the ones that decide, would come out wrong or infinite. So above 1/2 the inner logarithm is
// -log(1 - d) = 2 atanh(d / (2 - d)) with d = 1 - u, exact in f32; at most 1/3 goes into the series, whose rest is below 1e-8.
fn gumbel(bits: u32) -> f32 {
  let k = f32(bits >> 9u);
  let u = (k + 0.5) * 1.1920928955078125e-7;
  let d = (8388607.5 - k) * 1.1920928955078125e-7;
  let s = d / (2.0 - d);
  let x = s * s;
  let series = 1.0 + x * (0.33333334 + x * (0.2 + x * (0.14285715 + x * (0.11111111 + x * (0.09090909 + x * (0.07692308 + x * 0.06666667))))));
  let inner = select(-log(u), 2.0 * s * series, d < 0.5);
  return -log(inner);
}

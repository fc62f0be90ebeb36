// Fragment: selection without sorting. Floats are mapped to u32 keys of the same order, and the key of the threshold is found from its top
// bits down, three bits a pass (32 = 2 + 10 * 3): every pass weighs the tokens at or above eight candidate keys at once. Needs row_scan.

var<workgroup> threshold_low: array<vec4<f32>, 256>;
var<workgroup> threshold_high: array<vec4<f32>, 256>;

// Order-preserving: a < b exactly when key(a) < key(b); -0 and 0 are equal.
fn sort_key(value: f32) -> u32 {
  let bits = select(bitcast<u32>(value), 0u, value == 0.0);
  return bits ^ select(0x80000000u, 0xffffffffu, (bits >> 31u) == 1u);
}

// How likely a token is beside the most likely one, at a temperature. The clamp keeps the product finite.
fn scaled(value: f32, top: f32, inverse_temperature: f32) -> f32 {
  return max(value - top, -1.0e20) * inverse_temperature;
}

// The largest key such that the tokens at or above it, floor_key or above, weigh at least the wanted amount.
// by_mass: a token weighs exp((logit - top) / T) and `wanted` is a share of what all tokens from floor_key up weigh.
// Else a token weighs 1 and `wanted` is a number of tokens, at most the vocabulary (exact in f32 up to 2^24).
fn find_threshold(
  tid: u32,
  base: u32,
  vocab: u32,
  floor_key: u32,
  by_mass: bool,
  wanted: f32,
  top: f32,
  inverse_temperature: f32,
) -> u32 {
  var key = 0u;
  var goal = wanted;
  for (var pass_index = 0u; pass_index < 11u; pass_index++) {
    let shift = 30u - 3u * pass_index;
    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    for (var quad = tid; quad * 4u < vocab; quad += 256u) {
      let values = logits[base + quad];
      for (var c = 0u; c < min(4u, vocab - quad * 4u); c++) {
        let k = sort_key(values[c]);
        if (k >= floor_key && k >= key) {
          var weight = 1.0;
          if (by_mass) {
            weight = exp(scaled(values[c], top, inverse_temperature));
          }
          let step = vec4<u32>((k - key) >> shift);
          low += select(vec4<f32>(0.0), vec4<f32>(weight), step >= vec4<u32>(0u, 1u, 2u, 3u));
          high += select(vec4<f32>(0.0), vec4<f32>(weight), step >= vec4<u32>(4u, 5u, 6u, 7u));
        }
      }
    }
    threshold_low[tid] = low;
    threshold_high[tid] = high;
    workgroupBarrier();
    for (var width = 16u; width > 0u; width /= fan_in()) {
      if (tid < width) {
        low = threshold_low[tid];
        high = threshold_high[tid];
        for (var i = tid + width; i < width * 16u; i += width) {
          low += threshold_low[i];
          high += threshold_high[i];
        }
        threshold_low[tid] = low;
        threshold_high[tid] = high;
      }
      workgroupBarrier();
    }
    low = threshold_low[0];
    high = threshold_high[0];
    workgroupBarrier();
    if (pass_index == 0u && by_mass) {
      // Above nothing the most likely token must stay, so the goal is never 0.
      goal = max(wanted * low.x, 1.0e-30);
    }
    // Each addition is monotone in its operands and all eight sums run in one order, so they fall with the candidate key.
    let enough = select(vec4<u32>(0u), vec4<u32>(1u), low >= vec4<f32>(goal));
    let enough_high = select(vec4<u32>(0u), vec4<u32>(1u), high >= vec4<f32>(goal));
    let step = enough.y + enough.z + enough.w + enough_high.x + enough_high.y + enough_high.z + enough_high.w;
    key += step << shift;
  }
  return key;
}

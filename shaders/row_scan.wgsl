// Fragment: one pass over a row of logits by one workgroup of 256: the largest value, its token (the lowest id on ties) and the log of the
// sum of exponentials. The kernel declares `logits: array<vec4<f32>>`; `base` is the row's first quad.
// Numerics: online softmax, f32, four partial sums a thread, then sums in fixed order: repeatable bit for bit on one device.

const NO_TOKEN = 0xffffffffu;
// Masked values are finite: shader compilers may assume that infinities do not occur.
const LOWEST = -3.0e38;

var<workgroup> scan_value: array<f32, 256>;
var<workgroup> scan_token: array<u32, 256>;
var<workgroup> scan_sum: array<f32, 256>;

struct RowScan {
  largest: f32,
  token: u32,
  logsumexp: f32,
}

// Which of the four tokens of a quad exist.
fn quad_valid(quad: u32, vocab: u32) -> vec4<bool> {
  return (vec4<u32>(quad * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(vocab);
}

// Reductions run in two steps of 16 (256 -> 16 -> 1), so with four barriers instead of a tree's nine: software devices switch every
// thread at a barrier. The divisor is read from a uniform so that drivers leave the loops rolled: unrolled, they take three times as long
// to compile (lavapipe).
fn fan_in() -> u32 {
  return 16u + (params.vocab >> 31u);
}

// Value and token (as bits) of the whole workgroup's best, the lowest token on ties; the same in every thread.
fn reduce_best(tid: u32, value: f32, token: u32) -> vec2<u32> {
  scan_value[tid] = value;
  scan_token[tid] = token;
  workgroupBarrier();
  for (var width = 16u; width > 0u; width /= fan_in()) {
    if (tid < width) {
      var best = scan_value[tid];
      var best_token = scan_token[tid];
      for (var i = tid + width; i < width * 16u; i += width) {
        if (scan_value[i] > best || (scan_value[i] == best && scan_token[i] < best_token)) {
          best = scan_value[i];
          best_token = scan_token[i];
        }
      }
      scan_value[tid] = best;
      scan_token[tid] = best_token;
    }
    workgroupBarrier();
  }
  let result = vec2<u32>(bitcast<u32>(scan_value[0]), scan_token[0]);
  workgroupBarrier();
  return result;
}

// Sum over the workgroup, the same in every thread.
fn reduce_sum(tid: u32, value: f32) -> f32 {
  scan_sum[tid] = value;
  workgroupBarrier();
  for (var width = 16u; width > 0u; width /= fan_in()) {
    if (tid < width) {
      var part = scan_sum[tid];
      for (var i = tid + width; i < width * 16u; i += width) {
        part += scan_sum[i];
      }
      scan_sum[tid] = part;
    }
    workgroupBarrier();
  }
  let result = scan_sum[0];
  workgroupBarrier();
  return result;
}

fn scan_row(tid: u32, base: u32, vocab: u32) -> RowScan {
  var largest = LOWEST;
  var token = NO_TOKEN;
  var sums = vec4<f32>(0.0);
  for (var quad = tid; quad * 4u < vocab; quad += 256u) {
    let valid = quad_valid(quad, vocab);
    let values = select(vec4<f32>(LOWEST), logits[base + quad], valid);
    let most = max(max(values.x, values.y), max(values.z, values.w));
    if (most > largest || token == NO_TOKEN) {
      sums *= exp(largest - most);
      largest = most;
      token = quad * 4u + select(select(select(3u, 2u, values.z == most), 1u, values.y == most), 0u, values.x == most);
    }
    sums += select(vec4<f32>(0.0), exp(values - largest), valid);
  }
  let best = reduce_best(tid, largest, token);
  let top = bitcast<f32>(best.x);
  let sum = reduce_sum(tid, (sums.x + sums.y + sums.z + sums.w) * exp(largest - top));
  return RowScan(top, best.y, top + log(sum));
}

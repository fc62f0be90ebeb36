// KL(a || b) in nats between the distributions of pairs of rows.
//
//   logits [rows, stride] f32, stride a multiple of 4; columns from `vocab` on are ignored
//   scores [rows] vec2<f32> of logprob.wgsl, whose first targets are the rows in order: y is the row's log-sum-exp
//   pairs  [pairs] vec2<u32>: rows (a, b)
//   output [pairs] f32
//
// One workgroup of 256 a pair, pairs along x then y.
// Numerics: with p, q the two probabilities of a token and d = log q - log p, the sum of p * (exp(d) - 1 - d) equals the sum of -p * d, since p
// and q both add up to 1. Here every term is at least 0, so nothing cancels and the result is never negative, and an error e in a
// log-sum-exp enters as e^2 / 2 instead of e. For small d the term is p times a series; else it is q - p - p * d.

struct Params {
  vocab: u32,
  stride: u32,
  pairs: u32,
  pad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scores: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

//#include row_scan

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) tid: u32,
) {
  let i = group.y * groups.x + group.x;
  if (i >= params.pairs) {
    return;
  }
  let pair = pairs[i];
  let base_a = pair.x * (params.stride / 4u);
  let base_b = pair.y * (params.stride / 4u);
  let z_a = scores[pair.x].y;
  let z_b = scores[pair.y].y;
  var sums = vec4<f32>(0.0);
  for (var quad = tid; quad * 4u < params.vocab; quad += 256u) {
    let log_p = logits[base_a + quad] - z_a;
    let log_q = logits[base_b + quad] - z_b;
    let d = log_q - log_p;
    let p = exp(log_p);
    let q = exp(log_q);
    // exp(d) - 1 - d for |d| < 1/2; the first term left out is below 1e-8 of the sum.
    let small = d * d * (0.5 + d * (0.16666667 + d * (0.041666668 + d * (0.008333334 + d * (0.0013888889 + d * (0.0001984127 + d * 2.4801588e-5))))));
    let large = max(q - p - p * d, vec4<f32>(0.0));
    let term = select(large, p * small, abs(d) < vec4<f32>(0.5));
    // A token that a holds impossible adds q alone; p * d may then be 0 times something huge.
    let safe = select(term, q, p == vec4<f32>(0.0));
    sums += select(vec4<f32>(0.0), safe, quad_valid(quad, params.vocab));
  }
  let sum = reduce_sum(tid, sums.x + sums.y + sums.z + sums.w);
  if (tid == 0u) {
    output[i] = sum;
  }
}

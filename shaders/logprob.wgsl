// Log-probabilities of given tokens in given rows, and the rows' log-sum-exps (for kl.wgsl).
//
//   logits [rows, stride] f32, stride a multiple of 4; columns from `vocab` on are ignored
//   targets [targets] vec2<u32>: (row, token); token 0xffffffff (or any id outside the vocabulary): none, its log-probability is
//     written as 0
//   output [targets] vec2<f32>: (log-probability of the token, log-sum-exp of the row), nats
//
// One workgroup of 256 a target, targets along x then y. Numerics: see row_scan.

struct Params {
  vocab: u32,
  stride: u32,
  targets: u32,
  pad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> targets: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> output: array<vec2<f32>>;

//#include row_scan

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) tid: u32,
) {
  let i = group.y * groups.x + group.x;
  if (i >= params.targets) {
    return;
  }
  let base = targets[i].x * (params.stride / 4u);
  let scan = scan_row(tid, base, params.vocab);
  if (tid == 0u) {
    let id = targets[i].y;
    var logprob = 0.0;
    if (id < params.vocab) {
      logprob = logits[base + id / 4u][id % 4u] - scan.logsumexp;
    }
    output[i] = vec2<f32>(logprob, scan.logsumexp);
  }
}

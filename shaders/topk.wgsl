// The n most likely tokens of every row, most likely first, lower ids first on ties.
//
//   logits [rows, stride] f32, stride a multiple of 4; columns from `vocab` on are ignored
//   output [rows, n] vec2<u32>: (token, bits of its log-probability in nats); (0xffffffff, 0) where the vocabulary is smaller than n
//
// One workgroup of 256 a row, rows along x then y; n <= 32. The n-th largest value is found by row_threshold, everything above it is
// collected in one pass, and the lowest ids among its equals in one pass each (one, unless there are ties).

const MOST = 32u;

struct Params {
  vocab: u32,
  stride: u32,
  rows: u32,
  n: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec2<u32>>;

//#include row_scan
//#include row_threshold

var<workgroup> found: atomic<u32>;
var<workgroup> found_count: u32;
var<workgroup> found_token: array<u32, 32>;
var<workgroup> found_key: array<u32, 32>;
var<workgroup> lowest: atomic<u32>;
var<workgroup> lowest_token: u32;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) tid: u32,
) {
  let r = group.y * groups.x + group.x;
  if (r >= params.rows) {
    return;
  }
  let base = r * (params.stride / 4u);
  let n = min(min(params.n, params.vocab), MOST);
  let scan = scan_row(tid, base, params.vocab);
  let threshold = find_threshold(tid, base, params.vocab, 0u, false, f32(n), scan.largest, 1.0);

  for (var quad = tid; quad * 4u < params.vocab; quad += 256u) {
    let values = logits[base + quad];
    for (var c = 0u; c < min(4u, params.vocab - quad * 4u); c++) {
      let key = sort_key(values[c]);
      if (key > threshold) {
        // Fewer than n by the meaning of the threshold.
        let place = min(atomicAdd(&found, 1u), MOST - 1u);
        found_token[place] = quad * 4u + c;
        found_key[place] = key;
      }
    }
  }
  workgroupBarrier();
  if (tid == 0u) {
    found_count = min(atomicLoad(&found), n);
  }
  let above = workgroupUniformLoad(&found_count);

  var next = 0u;
  for (var place = above; place < n; place++) {
    if (tid == 0u) {
      atomicStore(&lowest, NO_TOKEN);
    }
    workgroupBarrier();
    var mine = NO_TOKEN;
    for (var quad = tid; quad * 4u < params.vocab && mine == NO_TOKEN; quad += 256u) {
      let values = logits[base + quad];
      for (var c = 0u; c < min(4u, params.vocab - quad * 4u); c++) {
        let id = quad * 4u + c;
        if (id >= next && mine == NO_TOKEN && sort_key(values[c]) == threshold) {
          mine = id;
        }
      }
    }
    atomicMin(&lowest, mine);
    workgroupBarrier();
    if (tid == 0u) {
      lowest_token = atomicLoad(&lowest);
      found_token[place] = lowest_token;
      found_key[place] = threshold;
    }
    next = workgroupUniformLoad(&lowest_token) + 1u;
  }
  workgroupBarrier();

  if (tid < params.n) {
    var rank = tid;
    var entry = vec2<u32>(NO_TOKEN, 0u);
    if (tid < n) {
      let token = found_token[tid];
      let key = found_key[tid];
      rank = 0u;
      for (var other = 0u; other < n; other++) {
        let other_key = found_key[other];
        rank += select(0u, 1u, other_key > key || (other_key == key && found_token[other] < token));
      }
      let id = min(token, params.vocab - 1u);
      entry = vec2<u32>(token, bitcast<u32>(logits[base + id / 4u][id % 4u] - scan.logsumexp));
    }
    output[r * params.n + rank] = entry;
  }
}

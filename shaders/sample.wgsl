// Next token of every row: greedy or Gumbel-max over what top-k and top-p keep (src/engine/random.ts states the rule), its log-probability
// at temperature 1, and the row's step forward, so that the next forward pass needs nothing from the CPU.
//
//   logits [rows, stride] f32, stride a multiple of 4; columns from `vocab` on are ignored
//   rows   [rows] vec4<u32> (token, slot, position, flags): flags = lane | ring step << 16 | 1 << 30 last prompt row | 1 << 31 lane ended
//   seeds  [rows] u32, stops [stopCount] u32
//   output [16, rows] vec2<u32>: (token, bits of the log-probability), (0xffffffff, 0) for a lane that has ended
//
// One workgroup of 256 a row. The variant without `choose` is greedy and small: software drivers compile the other for seconds.
// Greedy is one pass over the row, free sampling two, top-k and top-p eleven more each.
// Numerics: f32; scores are (logit - largest logit) / T + noise, so that small temperatures lose nothing near the top. Temperatures below
// 1e-10 count as 1e-10. A row of NaNs gives token 0 and log-probability NaN.

const RING = 16u;
const ENDED = 0x80000000u;
const LAST_PROMPT = 0x40000000u;
const STEP_MASK = 0x00ff0000u;

struct Params {
  vocab: u32,
  stride: u32,
  topK: u32,
  stopCount: u32,
  temperature: f32,
  topP: f32,
  rows: u32,
  pad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> seeds: array<u32>;
@group(0) @binding(4) var<storage, read> stops: array<u32>;
@group(0) @binding(5) var<storage, read_write> output: array<vec2<u32>>;

//#include row_scan
//#include row_threshold
//#include random

var<workgroup> shared_row: vec4<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let r = group.x;
  if (tid == 0u) {
    shared_row = rows[r];
  }
  let row = workgroupUniformLoad(&shared_row);
  let flags = row.w;
  let step = (flags & STEP_MASK) >> 16u;
  let next_flags = (flags & ~STEP_MASK) | (((step + 1u) % RING) << 16u);
  let slot = (step % RING) * params.rows + r;
  if ((flags & ENDED) != 0u) {
    if (tid == 0u) {
      output[slot] = vec2<u32>(NO_TOKEN, 0u);
      rows[r].w = next_flags;
    }
    return;
  }

  let base = r * (params.stride / 4u);
  let scan = scan_row(tid, base, params.vocab);
  var token = scan.token;

//#include choose

  if (tid == 0u) {
    // Only a row without one comparable number leaves no token.
    let id = select(token, 0u, token >= params.vocab);
    let logprob = logits[base + id / 4u][id % 4u] - scan.logsumexp;
    var ended = 0u;
    for (var i = 0u; i < params.stopCount; i++) {
      if (stops[i] == id) {
        ended = ENDED;
      }
    }
    output[slot] = vec2<u32>(id, bitcast<u32>(logprob));
    rows[r] = vec4<u32>(id, row.y, row.z + 1u, (next_flags & ~LAST_PROMPT) | ended);
  }
}

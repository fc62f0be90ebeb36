// What happens to q, k and v between the projections and attention, one workgroup for each head of each row:
//   HEAD_NORM  RMSNorm of the head of q or k, times (offset + weight)                      (Gemma 3)
//   ROPE       rotary embedding of q (in place) and k, k and v appended to the cache
// Taken apart where q, k or v are read or edited between the two. Pairs are (i, i + head_dim/2), as in Hugging Face files.
//   qkv    f32 [rows, stride]: heads of q, then of k, then of v, head_dim each
//   table  f32x2 [positions, head_dim/2] (cos, sin), computed on the CPU in f64: WGSL's sin is only good to 2^-11
//   cache  [slots, capacity, kv_heads, QUADS], QUADS = ceil(head_dim / 4), zero beyond head_dim
// Grid (heads + 2 kv_heads, rows).
//#include kv
struct Params {
  heads: u32,
  kv_heads: u32,
  stride: u32,
  capacity: u32,
  eps: f32,
  offset: f32,
  pad0: u32,
  pad1: u32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> norms: array<f32>; // [2, head_dim]: q's, then k's
@group(0) @binding(6) var<storage, read_write> keys: array<Quad>;
@group(0) @binding(7) var<storage, read_write> values: array<Quad>;

const WG = 32u;
const HALF = HEAD_DIM / 2u;
var<workgroup> head: array<f32, HEAD_PAD>; // head_dim rounded up to a multiple of 4
var<workgroup> partial: array<f32, WG>;

fn rotated(i: u32, position: u32) -> f32 {
  let first = i < HALF;
  let j = select(i - HALF, i, first);
  let cs = table[position * HALF + j];
  return head[i] * cs.x + select(head[j] * cs.y, -head[i + HALF] * cs.y, first);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = rows[group.y];
  let base = group.y * p.stride + group.x * HEAD_DIM;
  let is_query = group.x < p.heads;
  let is_value = group.x >= p.heads + p.kv_heads;
  for (var i = local; i < HEAD_PAD; i += WG) {
    head[i] = 0.0;
    if (i < HEAD_DIM) {
      head[i] = qkv[base + i];
    }
  }
  workgroupBarrier();
  if (HEAD_NORM && !is_value) {
    var squares = 0.0;
    for (var i = local; i < HEAD_DIM; i += WG) {
      squares += head[i] * head[i];
    }
    partial[local] = squares;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WG; i += 1u) {
      sum += partial[i];
    }
    let factor = 1.0 / sqrt(sum / f32(HEAD_DIM) + p.eps);
    let weights = select(HEAD_DIM, 0u, is_query);
    for (var i = local; i < HEAD_DIM; i += WG) {
      head[i] *= factor * (p.offset + norms[weights + i]);
      if (!ROPE) {
        qkv[base + i] = head[i];
      }
    }
    workgroupBarrier();
  }
  if (ROPE) {
    if (is_query) {
      for (var i = local; i < HEAD_DIM; i += WG) {
        qkv[base + i] = rotated(i, row.z);
      }
    } else {
      let kv = select(group.x - p.heads, group.x - p.heads - p.kv_heads, is_value);
      let at = ((row.y * p.capacity + row.z) * p.kv_heads + kv) * QUADS;
      for (var d = local; d < QUADS; d += WG) {
        let i = d * 4u;
        if (is_value) {
          values[at + d] = pack(vec4<f32>(head[i], head[i + 1u], head[i + 2u], head[i + 3u]));
        } else {
          var out = vec4<f32>(0.0);
          for (var c = 0u; c < 4u; c += 1u) {
            if (i + c < HEAD_DIM) {
              out[c] = rotated(i + c, row.z);
            }
          }
          keys[at + d] = pack(out);
        }
      }
    }
  }
}

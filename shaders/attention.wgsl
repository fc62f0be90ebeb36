// Causal attention over the cache, for decoding and prefill: one workgroup for one query head and a span of up to QR
// consecutive positions of one sequence, which share every key and value that is read. Online softmax (Milakov and
// Gimelshein 2018) over tiles of 64 positions: invocation j scores position j of the tile; then each invocation owns four
// columns of the output and every JG-th position, and the JG partial sums are added at the end. Scores, sums and output are
// f32. A sliding window of W covers the token itself and the W - 1 before it; 0 means all.
//   qkv    f32 [rows, q_stride], rotated queries first; keys, values see rope_cache; z f32 [rows, z_stride]
//   spans  u32x2 [spans] (first row, rows)
// Grid (heads, spans). HEAD_QUADS = ceil(head_dim / 4).
//#include kv
struct Params {
  heads: u32,
  kv_heads: u32,
  q_stride: u32,
  z_stride: u32,
  capacity: u32,
  window: u32,
  scale: f32,
  pad0: u32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> spans: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> keys: array<Quad>;
@group(0) @binding(6) var<storage, read> values: array<Quad>;
@group(0) @binding(7) var<storage, read_write> z: array<f32>;

const TILE = 64u;
const FAR = -3.0e38;
var<workgroup> queries: array<vec4<f32>, QUERIES>; // QR * HEAD_QUADS
var<workgroup> scores: array<f32, SCORES>; // QR * TILE
var<workgroup> sums: array<vec4<f32>, TILE>;
var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let span = spans[group.y];
  let head = group.x;
  let kv = head / (p.heads / p.kv_heads);
  let slot = rows[span.x].y;
  let first = rows[span.x].z;
  let last = first + span.y - 1u;
  let columns = local % HEAD_QUADS;
  let lane = local / HEAD_QUADS;

  for (var i = local; i < QR * HEAD_QUADS; i += 64u) {
    let row = span.x + min(i / HEAD_QUADS, span.y - 1u);
    var q = vec4<f32>(0.0);
    for (var c = 0u; c < 4u; c += 1u) {
      let d = (i % HEAD_QUADS) * 4u + c;
      if (d < HEAD_DIM) {
        q[c] = qkv[row * p.q_stride + head * HEAD_DIM + d] * p.scale;
      }
    }
    queries[i] = q;
  }
  workgroupBarrier();

//#for q QR
  var top_$(q) = FAR;
  var weight_$(q) = 0.0;
  var acc_$(q) = vec4<f32>(0.0);
//#end
  let cache = slot * p.capacity * p.kv_heads + kv;
  var low = 0u;
  if (p.window > 0u && first + 1u > p.window) {
    low = first + 1u - p.window;
  }
  for (var base = low; base <= last; base += TILE) {
    let t = base + local;
//#for q QR
    var score_$(q) = FAR;
//#end
    if (t <= last) {
      let at = (cache + t * p.kv_heads) * HEAD_QUADS;
//#for q QR
      var dot_$(q) = 0.0;
//#end
      for (var d = 0u; d < HEAD_QUADS; d += 1u) {
        let k = unpack(keys[at + d]);
//#for q QR
        dot_$(q) += dot(queries[$(q)u * HEAD_QUADS + d], k);
//#end
      }
//#for q QR
      if (t <= first + $(q)u && (p.window == 0u || t + p.window > first + $(q)u)) {
        score_$(q) = dot_$(q);
      }
//#end
    }
//#for q QR
    scores[$(q)u * TILE + local] = score_$(q);
//#end
    workgroupBarrier();
    let tile = min(TILE, last + 1u - base);
//#for q QR
    var new_$(q) = top_$(q);
    for (var j = 0u; j < tile; j += 1u) {
      new_$(q) = max(new_$(q), scores[$(q)u * TILE + j]);
    }
//#end
    workgroupBarrier();
//#for q QR
    // A tile that is wholly masked for this query leaves FAR as its maximum: its weights must be 0, not exp(0).
    scores[$(q)u * TILE + local] = select(exp(score_$(q) - new_$(q)), 0.0, score_$(q) == FAR);
    let keep_$(q) = exp(max(top_$(q) - new_$(q), -80.0)) * select(1.0, 0.0, top_$(q) == FAR);
    acc_$(q) *= keep_$(q);
    weight_$(q) *= keep_$(q);
    top_$(q) = new_$(q);
//#end
    workgroupBarrier();
    if (lane < JG) {
      for (var j = lane; j < tile; j += JG) {
        let v = unpack(values[(cache + (base + j) * p.kv_heads) * HEAD_QUADS + columns]);
//#for q QR
        let w_$(q) = scores[$(q)u * TILE + j];
        weight_$(q) += w_$(q);
        acc_$(q) += w_$(q) * v;
//#end
      }
    }
    workgroupBarrier();
  }
//#for q QR
  sums[local] = acc_$(q);
  weights[local] = weight_$(q);
  workgroupBarrier();
  if (local < HEAD_QUADS && $(q)u < span.y) {
    var sum = vec4<f32>(0.0);
    var weight = 0.0;
    for (var j = 0u; j < JG; j += 1u) {
      sum += sums[j * HEAD_QUADS + local];
      weight += weights[j * HEAD_QUADS + local];
    }
    let out = sum / weight;
    for (var c = 0u; c < 4u; c += 1u) {
      if (local * 4u + c < HEAD_DIM) {
        z[(span.x + $(q)u) * p.z_stride + head * HEAD_DIM + local * 4u + c] = out[c];
      }
    }
  }
  workgroupBarrier();
//#end
}

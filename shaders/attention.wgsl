// Causal attention over the cache, for decoding and prefill: one workgroup for one query head and a span of up to QR
// consecutive positions of one sequence, which share every key and value that is read. Online softmax (Milakov and
// Gimelshein 2018) over tiles of 64 positions: invocation j scores position j of the tile; then each invocation owns four
// columns of the output and every 64/quads-th position, and the partial sums are added at the end. Scores, sums and output are
// f32. A sliding window of W covers the token itself and the W - 1 before it; 0 means all.
//   qkv    f32 [rows, q_stride], rotated queries first; keys, values see rope_cache; z f32 [rows, z_stride]
//   spans  u32x2 [spans] (first row, rows)
// Grid (heads, spans). HEAD_QUADS = ceil(head_dim / 4). Loop bounds are not constants on software adapters (SOFTWARE), whose
// drivers would write the loops out and compile for half a minute.
//#include kv
struct Params {
  heads: u32,
  kv_heads: u32,
  q_stride: u32,
  z_stride: u32,
  capacity: u32,
  window: u32,
  scale: f32,
  quads: u32,
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
var<workgroup> sums: array<vec4<f32>, SCORES>;

fn query(at: u32, d: u32) -> f32 {
  if (d < HEAD_DIM) {
    return qkv[at + d];
  }
  return 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let span = spans[group.y];
  let head = group.x;
  let kv = head / (p.heads / p.kv_heads);
  let slot = rows[span.x].y;
  let first = rows[span.x].z;
  let last = first + span.y - 1u;
  let quads = select(HEAD_QUADS, p.quads, SOFTWARE);
  let lanes = 64u / quads;
  let columns = local % quads;
  let lane = local / quads;

  for (var i = local; i < QR * quads; i += 64u) {
    let row = span.x + min(i / quads, span.y - 1u);
    let d = (i % quads) * 4u;
    let at = row * p.q_stride + head * HEAD_DIM;
    queries[i] = vec4<f32>(query(at, d), query(at, d + 1u), query(at, d + 2u), query(at, d + 3u)) * p.scale;
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
      let at = (cache + t * p.kv_heads) * quads;
//#for q QR
      var dot_$(q) = 0.0;
//#end
      for (var d = 0u; d < quads; d += 1u) {
        let k = unpack(keys[at + d]);
//#for q QR
        dot_$(q) += dot(queries[$(q)u * quads + d], k);
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
//#end
    for (var j = 0u; j < tile; j += 1u) {
//#for q QR
      new_$(q) = max(new_$(q), scores[$(q)u * TILE + j]);
//#end
    }
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
    if (lane < lanes) {
      for (var j = lane; j < tile; j += lanes) {
        let v = unpack(values[(cache + (base + j) * p.kv_heads) * quads + columns]);
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
  sums[$(q)u * TILE + local] = acc_$(q);
  scores[$(q)u * TILE + local] = weight_$(q);
//#end
  workgroupBarrier();
  for (var i = local; i < span.y * quads; i += 64u) {
    let q = i / quads;
    let column = i % quads;
    var sum = vec4<f32>(0.0);
    var weight = 0.0;
    for (var j = 0u; j < lanes; j += 1u) {
      sum += sums[q * TILE + j * quads + column];
      weight += scores[q * TILE + j * quads + column];
    }
    let out = sum / weight;
    let at = (span.x + q) * p.z_stride + head * HEAD_DIM;
    let d = column * 4u;
    z[at + d] = out.x;
    z[at + d + 1u] = out.y;
    if (d + 2u < HEAD_DIM) {
      z[at + d + 2u] = out.z;
      z[at + d + 3u] = out.w;
    }
  }
}

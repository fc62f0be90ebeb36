// h[r, :] = scale * embedding[token of row r, :]. A table larger than a binding is split by rows; each dispatch writes only
// the rows whose token lies in its part. One invocation an octet, grid (ceil(octets / 64), rows).
//   rows u32x4 [rows] (token, slot, position, flags); weights [vocab, 8 * octets] from weights_*; h f32 [rows, 8 * octets]
//#include call
//#include weights
struct Params {
  octets: u32,
  first: u32,
  count: u32,
  scale: f32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> h: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y;
  if (row >= call.rows || id.x >= p.octets) {
    return;
  }
  let token = rows[row].x;
  if (token < p.first || token >= p.first + p.count) {
    return;
  }
  let index = (token - p.first) * p.octets + id.x;
  let w = octet(index);
  let s = scale_of(index >> 2u) * p.scale;
  let at = (row * p.octets + id.x) * 2u;
  h[at] = w.lo * s;
  h[at + 1u] = w.hi * s;
}

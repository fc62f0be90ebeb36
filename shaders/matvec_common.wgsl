// Shared by the three matrix-vector kernels (matvec_rows, matvec_subgroup, matvec_tree): out[m, n] = x[m, :] . w[n, :] for
// M rows m of the batch at once, each weight being read once for all of them; more rows are blocks of M along z.
//   x        f32 [rows, 4 * x_quads], zero beyond the real K
//   weights  [n, 8 * octets], see weights_*.wgsl; this dispatch covers `count` rows, whose outputs start at column `first`
//   out      f32 [rows, out_stride]
// GATED: weight rows are interleaved gate, up, gate, up, ...; out[m, n/2] = activation(gate) * up.
// Every output is summed in the same order whatever M is, so a lane's numbers do not depend on its neighbours.
struct Params {
  octets: u32,
  count: u32,
  first: u32,
  out_stride: u32,
  x_quads: u32,
  grid_x: u32,
  four: u32,
  pad1: u32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;

fn store(m: u32, n: u32, value: f32) {
  if (m < call.rows && n < p.count) {
    out[m * p.out_stride + p.first + n] = value + bias[p.first + n];
  }
}
fn store_gated(m: u32, n: u32, gate: f32, up: f32) {
  if (m < call.rows && n < p.count) {
    let at = p.first + n;
    out[m * p.out_stride + (at >> 1u)] = activation(gate + bias[at]) * (up + bias[at + 1u]);
  }
}

// Moves rows between buffers, bit by bit: out[to, out_column + i] = x[from, column + i] for i < width and every pair (from, to).
//   x     u32 or f32 [rows, stride]; out [rows, out_stride]
//   pairs u32x2 [pairs]: (row of x, row of out)
// One invocation an element, grid (ceil(width / 64), pairs).
struct Params {
  stride: u32,
  column: u32,
  width: u32,
  out_stride: u32,
  out_column: u32,
  pad0: u32,
  pad1: u32,
  pad2: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < p.width) {
    let pair = pairs[id.y];
    out[pair.y * p.out_stride + p.out_column + id.x] = x[pair.x * p.stride + p.column + id.x];
  }
}

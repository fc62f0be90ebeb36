// Gathers rows for a capture: out[out_first + i, :] = x[index[i], column .. column + width). One invocation an element,
// grid (ceil(width / 64), rows chosen).
struct Params {
  stride: u32,
  column: u32,
  width: u32,
  out_first: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < p.width) {
    out[p.out_first + id.y * p.width + id.x] = x[index[id.y] * p.stride + p.column + id.x];
  }
}

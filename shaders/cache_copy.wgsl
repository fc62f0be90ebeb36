// Copies the first positions of one slot of a cache to another slot, so that lanes with the same untouched prefix share its
// computation. A kernel, because WebGPU does not copy within one buffer. Grid-strided; one element is four numbers.
//#include kv
struct Params {
  from_at: u32,
  to_at: u32,
  count: u32,
  threads: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> cache: array<Quad>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  for (var i = id.x; i < p.count; i += p.threads) {
    cache[p.to_at + i] = cache[p.from_at + i];
  }
}

// Copies the first positions of slots of a cache to other slots, so that what several lanes or sequences begin with is computed
// once. A kernel, because WebGPU does not copy within one buffer. No slot is copied to and from in one dispatch.
//   copies u32x4 [copies]: (from slot, to slot, positions, 0)
//   cache  [slots, slot_quads], a position being `position_quads` of them
// Grid (any, copies); each row of workgroups strides over its copy, one element being four numbers.
//#include kv
struct Params {
  slot_quads: u32,
  position_quads: u32,
  pad0: u32,
  pad1: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> copies: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> cache: array<Quad>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let copy = copies[group.y];
  let from_at = copy.x * p.slot_quads;
  let to_at = copy.y * p.slot_quads;
  let count = copy.z * p.position_quads;
  for (var i = group.x * 64u + local; i < count; i += groups.x * 64u) {
    cache[to_at + i] = cache[from_at + i];
  }
}

enable subgroups;
diagnostic(off, subgroup_uniformity);
// Matrix-vector product, one subgroup for NR output rows: its lanes take the groups of 32 inputs in turn, so that reads are
// coalesced, and add up with subgroupAdd. A workgroup of WG invocations covers ROWS output rows, whatever the subgroup size
// of the device (4 to 128). The best form on GPUs. Grid ceil(count / ROWS).
//#include call
//#include weights
//#include activation
//#include matvec_common

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let first_row = group.z * M;
  let first = (group.y * p.grid_x + group.x) * ROWS;
  let stride = (WG / size) * NR;
  for (var offset = (local / size) * NR; offset < ROWS; offset += stride) {
    let base = first + offset;
    let start = lane;
    let step = size;
//#include matvec_accumulate
//#for i NR
//#for m M
    acc_$(i)_$(m) = subgroupAdd(acc_$(i)_$(m));
//#end
//#end
    if (lane == 0u) {
//#include matvec_store
    }
  }
}

// Matrix-vector product, one invocation for NR output rows, no reduction between invocations.
// The best form on software adapters (lavapipe, SwiftShader), where a barrier or a subgroup operation costs more than it
// saves; on GPUs its reads are not coalesced and the other two forms win. Workgroup WG, grid ceil(count / (WG * NR)).
//#include call
//#include weights
//#include activation
//#include matvec_common

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_row = group.z * M;
  let base = ((group.y * p.grid_x + group.x) * WG + local) * NR;
  if (base < p.count) {
    let start = 0u;
    let step = 1u;
//#include matvec_accumulate
//#include matvec_store
  }
}

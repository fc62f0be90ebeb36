// Matrix-vector product, one workgroup for NR output rows: the invocations take the groups of 32 inputs in turn and add up
// through workgroup memory. For GPUs whose browser has no subgroups. Grid ceil(count / NR).
//#include call
//#include weights
//#include activation
//#include matvec_common

var<workgroup> partial: array<f32, TOTAL>; // WG * NR * M

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_row = group.z * M;
  let base = (group.y * p.grid_x + group.x) * NR;
  let start = local;
  let step = WG;
//#include matvec_accumulate
//#for i NR
//#for m M
  partial[($(i)u * M + $(m)u) * WG + local] = acc_$(i)_$(m);
//#end
//#end
  workgroupBarrier();
  // One invocation sums one value: two barriers instead of a tree of them for every value.
  for (var v = local; v < NR * M; v += WG) {
    var sum = 0.0;
    for (var i = 0u; i < WG; i += 1u) {
      sum += partial[v * WG + i];
    }
    partial[v * WG] = sum;
  }
  workgroupBarrier();
  if (local == 0u && base < p.count) {
//#for i NR
//#for m M
    acc_$(i)_$(m) = partial[($(i)u * M + $(m)u) * WG];
//#end
//#end
//#include matvec_store
  }
}

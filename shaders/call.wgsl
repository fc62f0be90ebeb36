// What every forward kernel knows of the call it runs in: how many rows of the batch are real. Written by the host between
// submits, so that one prebuilt bind group serves every number of rows.
struct Call {
  rows: u32,
  // Rows of `spans` (attention) that are real.
  spans: u32,
  pad0: u32,
  pad1: u32,
}
@group(0) @binding(0) var<uniform> call: Call;

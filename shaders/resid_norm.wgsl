// The residual stream between two blocks, one workgroup a row:
//   ADD   h += a, or with POST h += RMSNorm(a) * (offset + post)     (POST: Gemma's norm on a block's output)
//   NORM  x = RMSNorm(h) * (offset + weight)
// Fused because both read the same row; taken apart where something is read or edited between them. The residual stream and
// the sums are f32 on every path: in f16 Gemma's stream overflows.
//   h, a, x f32 [rows, stride]; post, weight f32 [width]
struct Params {
  width: u32,
  stride: u32,
  eps: f32,
  offset: f32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> post: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read_write> x: array<f32>;

const WG = 64u;
var<workgroup> partial: array<f32, WG>;
var<workgroup> eighths: array<f32, 8>;

// Sum over the workgroup, the same in every invocation.
fn total(value: f32, local: u32) -> f32 {
  partial[local] = value;
  workgroupBarrier();
  if (local < 8u) {
    var sum = 0.0;
    for (var i = 0u; i < WG / 8u; i += 1u) {
      sum += partial[local * (WG / 8u) + i];
    }
    eighths[local] = sum;
  }
  workgroupBarrier();
  return ((eighths[0] + eighths[1]) + (eighths[2] + eighths[3])) + ((eighths[4] + eighths[5]) + (eighths[6] + eighths[7]));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let base = group.x * p.stride;
  if (ADD) {
    var factor = 1.0;
    if (POST) {
      var squares = 0.0;
      for (var i = local; i < p.width; i += WG) {
        let v = a[base + i];
        squares += v * v;
      }
      factor = 1.0 / sqrt(total(squares, local) / f32(p.width) + p.eps);
    }
    for (var i = local; i < p.width; i += WG) {
      var v = a[base + i];
      if (POST) {
        v *= factor * (p.offset + post[i]);
      }
      h[base + i] += v;
    }
  }
  if (NORM) {
    // An invocation reads back only what it wrote itself, so no barrier is needed in between.
    var squares = 0.0;
    for (var i = local; i < p.width; i += WG) {
      let v = h[base + i];
      squares += v * v;
    }
    let factor = 1.0 / sqrt(total(squares, local) / f32(p.width) + p.eps);
    for (var i = local; i < p.width; i += WG) {
      x[base + i] = h[base + i] * factor * (p.offset + weight[i]);
    }
  }
}

// Matrix product for many rows: out[r, n] = x[r, :] . w[n, :] + bias[n]. A workgroup of 8 x 8 invocations makes a tile of
// 8*RM rows by 8*RN outputs, taking 32 inputs at a time through workgroup memory, weights dequantised on the way; an
// invocation holds RM x RN sums in registers (f32 whatever the products are). Rows of both tiles are 9 quads apart, not 8,
// so that the eight rows read at once fall into different banks. Grid (ceil(count / 8RN), ceil(rows / 8RM)).
//   x f32 [rows, 4 * x_quads]; weights [n, 8 * octets] from weights_*; out f32 [rows, out_stride]
//#include call
//#include weights
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

var<workgroup> xs: array<vec4<F>, XS>; // 8 * RM * 9
var<workgroup> ws: array<vec4<F>, WS>; // 8 * RN * 9

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let n0 = group.x * 8u * RN;
  let r0 = group.y * 8u * RM;
//#for i RM
//#for j RN
  var acc_$(i)_$(j) = 0.0;
//#end
//#end
  let groups = p.octets / 4u;
  // Not a constant on software adapters, so that their drivers do not write out the loops below and compile for seconds.
  let four = select(4u, p.four, SOFTWARE);
  for (var g = 0u; g < groups; g += 1u) {
    for (var i = local; i < 16u * four * RM; i += 64u) {
      let row = min(r0 + (i >> 3u), call.rows - 1u);
      xs[(i >> 3u) * 9u + (i & 7u)] = vec4<F>(x[row * p.x_quads + g * 8u + (i & 7u)]);
    }
    for (var i = local; i < 8u * four * RN; i += 64u) {
      let row = min(n0 + (i >> 2u), p.count - 1u) * p.octets + g * 4u;
      let w = octet(row + (i & 3u));
      let s = F(scale_of(row >> 2u));
      ws[(i >> 2u) * 9u + 2u * (i & 3u)] = w.lo * s;
      ws[(i >> 2u) * 9u + 2u * (i & 3u) + 1u] = w.hi * s;
    }
    workgroupBarrier();
    for (var k = 0u; k < 2u * four; k += 1u) {
//#for i RM
      let x_$(i) = xs[(id.y + $(i)u * 8u) * 9u + k];
//#end
//#for j RN
      let w_$(j) = ws[(id.x + $(j)u * 8u) * 9u + k];
//#for i RM
      acc_$(i)_$(j) += f32(dot(x_$(i), w_$(j)));
//#end
//#end
    }
    workgroupBarrier();
  }
//#for j RN
  let n_$(j) = n0 + id.x + $(j)u * 8u;
  if (n_$(j) < p.count) {
    let b_$(j) = bias[p.first + n_$(j)];
//#for i RM
    let r_$(j)_$(i) = r0 + id.y + $(i)u * 8u;
    if (r_$(j)_$(i) < call.rows) {
      out[r_$(j)_$(i) * p.out_stride + p.first + n_$(j)] = acc_$(i)_$(j) + b_$(j);
    }
//#end
  }
//#end
}

// The gated MLP between its products, where something is read or edited there, and after the tiled product:
//   ACT only      out = activation(gate)          the point mlp_act
//   MUL only      out = source * up               source is mlp_act after its edits
//   ACT and MUL   out = activation(gate) * up     the point mlp_hidden
//   gate_up f32 [rows, 2 * width], interleaved gate, up, gate, up; source, out f32 [rows, stride]. Grid (ceil(width / 64), rows).
//#include call
//#include activation
struct Params {
  width: u32,
  stride: u32,
  pad0: u32,
  pad1: u32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read> gate_up: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> source: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= p.width || id.y >= call.rows) {
    return;
  }
  let pair = gate_up[id.y * p.width + id.x];
  let at = id.y * p.stride + id.x;
  var value: f32;
  if (ACT) {
    value = activation(pair.x);
  } else {
    value = source[at];
  }
  if (MUL) {
    value *= pair.y;
  }
  out[at] = value;
}

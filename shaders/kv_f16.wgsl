// Keys and values as f16, four to an element; packed by hand so that shader-f16 is not needed.
alias Quad = vec2<u32>;
fn pack(v: vec4<f32>) -> Quad {
  let bounded = clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));
  return Quad(pack2x16float(bounded.xy), pack2x16float(bounded.zw));
}
fn unpack(v: Quad) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

// Keys and values as f32, four to an element.
alias Quad = vec4<f32>;
fn pack(v: vec4<f32>) -> Quad {
  return v;
}
fn unpack(v: Quad) -> vec4<f32> {
  return v;
}

fn activation(x: f32) -> f32 {
  // The argument is bounded so that exp stays finite; silu(-80) is 0 in f32 anyway.
  return x / (1.0 + exp(clamp(-x, -80.0, 80.0)));
}

fn activation(x: f32) -> f32 {
  // tanh of a large argument overflows on some drivers (it may be computed as sinh/cosh); it is 1 in f32 beyond 10.
  let inner = clamp(0.7978845608028654 * (x + 0.044715 * x * x * x), -10.0, 10.0);
  return 0.5 * x * (1.0 + tanh(inner));
}

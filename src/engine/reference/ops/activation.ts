import type { ModelSpec } from '../../../model/spec.ts';

/** x * sigmoid(x). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** GELU with the tanh approximation: x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). */
export function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
}

/** out[i] = activation(x[i]): the point `mlp_act`. x and out have one length and may be the same array. */
export function activate(kind: ModelSpec['activation'], x: Float32Array, out: Float32Array): void {
  const f = kind === 'silu' ? silu : geluTanh;
  for (let i = 0; i < x.length; i++) out[i] = f(x[i]);
}

/** out[i] = act[i] * up[i]: the point `mlp_hidden`. */
export function gate(act: Float32Array, up: Float32Array, out: Float32Array): void {
  for (let i = 0; i < act.length; i++) out[i] = act[i] * up[i];
}

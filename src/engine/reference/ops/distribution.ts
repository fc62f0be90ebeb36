import type { TopToken } from '../../engine.ts';

/** log of the sum of exp(logits), in f64, the maximum subtracted first. */
export function logSumExp(logits: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum);
}

/** Natural logarithm of the probability of `token` under softmax(logits). */
export function logprob(logits: Float32Array, token: number): number {
  return logits[token] - logSumExp(logits);
}

/** KL(softmax(a) || softmax(b)) in nats. Never below 0: rounding may leave -1e-17. */
export function kl(a: Float32Array, b: Float32Array): number {
  const za = logSumExp(a);
  const zb = logSumExp(b);
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const la = a[i] - za;
    const p = Math.exp(la);
    if (p > 0) sum += p * (la - (b[i] - zb));
  }
  return Math.max(0, sum);
}

/** The n most likely tokens, most likely first, lower ids first on ties. */
export function topTokens(logits: Float32Array, n: number): TopToken[] {
  const z = logSumExp(logits);
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === n && !(logits[id] > logits[best[n - 1]])) continue;
    let place = best.length;
    while (place > 0 && logits[id] > logits[best[place - 1]]) place--;
    best.splice(place, 0, id);
    if (best.length > n) best.pop();
  }
  return best.map((id) => ({ id, logprob: logits[id] - z }));
}

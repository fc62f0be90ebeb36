import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeOnnxRuntime } from '../../../runner/onnx-host.ts';
import { kl, logSumExp } from '../reference/ops/distribution.ts';
import { Distributions } from './distribution.ts';

const vocab = 1009;
const row = (seed: number, scale: number): Float32Array =>
  Float32Array.from({ length: vocab }, (_, i) => scale * Math.sin(seed + i * 12.9898) * Math.cos(i * seed * 0.7));

describe('sums over the vocabulary', () => {
  let distributions: Distributions;
  beforeAll(async () => {
    distributions = await Distributions.create(await nodeOnnxRuntime(), vocab, 1);
  });
  afterAll(() => distributions.release());

  it('gives the totals of rows of any size', async () => {
    const rows = [row(1, 5), row(2, 60), row(3, 0), row(4, 1).map((x) => x + 300)];
    const logits = new Float32Array(rows.length * vocab);
    rows.forEach((values, r) => logits.set(values, r * vocab));
    const totals = await distributions.totals(logits);
    rows.forEach((values, r) => expect(Math.abs(totals[r] - logSumExp(values))).toBeLessThan(3e-7 * Math.max(10, Math.abs(totals[r]))));
  });

  it('gives divergences, 0 for equal rows', async () => {
    const a = row(1, 6);
    for (const distance of [1e-3, 0.1, 3]) {
      const b = a.map((x, i) => x + distance * Math.sin(i));
      const [za, zb] = [...(await distributions.totals(a)), ...(await distributions.totals(b))];
      const got = await distributions.kl({ logits: a, total: za }, { logits: b, total: zb });
      expect(Math.abs(got - kl(a, b))).toBeLessThan(5e-6);
      expect(await distributions.kl({ logits: a, total: za }, { logits: a.slice(), total: za })).toBe(0);
    }
  });
});

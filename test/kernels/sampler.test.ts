import { describe, expect, it } from 'vitest';
import { logSumExp, kl, logprob, topTokens } from '../../src/engine/reference/ops/distribution.ts';
import { argmax, keepThreshold, sample, type SamplingRule } from '../../src/engine/reference/ops/sample.ts';
import { noise } from '../../src/engine/random.ts';
import { ENDED_BIT, LAST_PROMPT_BIT, RING } from '../../src/engine/webgpu/row-table.ts';
import {
  klDispatch,
  logprobDispatch,
  MAX_TOP,
  NO_TOKEN,
  rowParams,
  sampleDispatch,
  sampleParams,
  topkDispatch,
} from '../../src/engine/webgpu/sampler.ts';
import { testDevices } from '../devices.ts';
import { describeKernels, type KernelBench } from './bench.ts';
import { difference, normals, padded, strided } from './data.ts';

const greedy: SamplingRule = { temperature: 0, topK: 0, topP: 1 };
/** What lies in the padding must not matter. */
const junk = 1e30;

interface Drawn {
  readonly token: number;
  readonly logprob: number;
  readonly row: readonly number[];
}

async function draw(
  bench: KernelBench,
  logits: readonly Float32Array[],
  rule: SamplingRule,
  options: {
    seeds?: readonly number[];
    positions?: readonly number[];
    flags?: readonly number[];
    stops?: readonly number[];
    general?: boolean;
  } = {},
): Promise<Drawn[]> {
  const vocab = logits[0].length;
  const stride = padded(vocab);
  const rows = logits.length;
  const stops = options.stops ?? [];
  const table = new Uint32Array(logits.flatMap((_, r) => [7, 100 + r, options.positions?.[r] ?? r, options.flags?.[r] ?? r]));
  const view = { binding: { buffer: bench.storage(strided(logits, stride, junk)) }, vocab, stride, rows };
  const rowBuffer = bench.storage(table);
  const output = bench.empty(RING * rows * 8);
  const buffers = {
    params: { buffer: bench.uniform(sampleParams(view, rule, stops.length)) },
    rows: { buffer: rowBuffer },
    seeds: { buffer: bench.storage(new Uint32Array(logits.map((_, r) => options.seeds?.[r] ?? 1))) },
    stops: { buffer: bench.storage(new Uint32Array([...stops, 0])) },
    output: { buffer: output },
  };
  const dispatch = sampleDispatch(view, buffers, rule.temperature === 0 && !options.general);
  await bench.run([dispatch]);
  const ring = await bench.read(output);
  const after = await bench.readU32(rowBuffer);
  return logits.map((_, r) => {
    const step = (table[r * 4 + 3] >>> 16) & 0xff;
    const offset = (step * rows + r) * 8;
    return {
      token: new Uint32Array(ring, offset, 1)[0],
      logprob: new Float32Array(ring, offset + 4, 1)[0],
      row: [...after.slice(r * 4, r * 4 + 4)],
    };
  });
}

/** The kernel may differ from the f64 reference only where two scores, or a sum and its threshold, are the same to f32 rounding. */
function expectSample(drawn: Drawn, logits: Float32Array, rule: SamplingRule, seed: number, position: number): void {
  const expected = sample(logits, rule, seed, position);
  expect(Math.abs(drawn.logprob - logprob(logits, drawn.token))).toBeLessThan(2e-5 * (1 + Math.abs(drawn.logprob)));
  if (drawn.token === expected) return;
  const score = (token: number): number => logits[token] / rule.temperature + noise(seed, position, token);
  const close = Math.abs(score(drawn.token) - score(expected)) < 1e-4 * (1 + Math.abs(score(expected)));
  const nudged = [1 - 1e-5, 1 + 1e-5].some(
    (by) => sample(logits, { ...rule, topP: Math.min(rule.topP * by, 1) }, seed, position) === drawn.token,
  );
  expect(close || (rule.topP < 1 && nudged), `token ${drawn.token} instead of ${expected}`).toBe(true);
}

/** A row that no softmax likes: name and content by vocabulary. */
const adversarial: Readonly<Record<string, (vocab: number) => Float32Array>> = {
  'all equal': (vocab) => new Float32Array(vocab).fill(-3.25),
  'all zero, signs mixed': (vocab) => new Float32Array(vocab).map((_, i) => (i % 3 ? -0 : 0)),
  'one huge': (vocab) => new Float32Array(vocab).fill(1).fill(1e30, vocab - 2, vocab - 1),
  'one hopeless': (vocab) => normals(3, vocab).fill(-1e30, 0, 1),
  'two tied at the top': (vocab) =>
    normals(4, vocab)
      .fill(9, 5, 6)
      .fill(9, vocab - 1),
  'blocks of ties': (vocab) => new Float32Array(vocab).map((_, i) => i % 7),
  'large spread': (vocab) => normals(5, vocab, 300),
  'tiny spread': (vocab) => normals(6, vocab, 1e-6),
};

describe('the parameters of a row kernel', () => {
  it('are written as the WGSL struct reads them', () => {
    const bytes = sampleParams({ vocab: 517, stride: 544, rows: 3 }, { temperature: 0.5, topK: 40, topP: 0.25 }, 2);
    expect([...new Uint32Array(bytes)]).toEqual([517, 544, 40, 2, 0x3f000000, 0x3e800000, 3, 0]);
    expect([...rowParams({ vocab: 517, stride: 544 }, 9, 5)]).toEqual([517, 544, 9, 5]);
  });

  it('spreads more than 65535 rows over two dimensions', () => {
    const view = { binding: null as never, vocab: 517, stride: 544, rows: 131_071 };
    const [x, y] = topkDispatch(view, { params: null as never, output: null as never }).workgroups;
    expect(x).toBeLessThanOrEqual(65_535);
    expect(x * y).toBeGreaterThanOrEqual(131_071);
  });
});

describeKernels('sample', await testDevices(), (bench) => {
  it.each([1, 3, 517, 4096, 32000, 131072])('takes the largest logit when greedy, vocabulary %i', async (vocab) => {
    const logits = Array.from({ length: vocab > 40000 ? 2 : 8 }, (_, r) => normals(r, vocab, 4));
    const drawn = await draw(bench(), logits, greedy);
    drawn.forEach((got, r) => {
      expect(got.token).toBe(argmax(logits[r]));
      expect(Math.abs(got.logprob - logprob(logits[r], got.token))).toBeLessThan(2e-5);
    });
  });

  it.each(Object.keys(adversarial))('takes the lowest id on ties when greedy: %s', async (name) => {
    const logits = [adversarial[name](517), adversarial[name](1024)];
    const drawn = await draw(bench(), logits.slice(0, 1), greedy);
    const wide = await draw(bench(), logits.slice(1), greedy, { general: true });
    [...drawn, ...wide].forEach((got, r) => {
      expect(got.token).toBe(argmax(logits[r]));
      expect(Math.abs(got.logprob - logprob(logits[r], got.token))).toBeLessThan(2e-5);
    });
  });

  const rules: SamplingRule[] = [
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.7, topK: 40, topP: 1 },
    { temperature: 1.3, topK: 0, topP: 0.9 },
    { temperature: 0.9, topK: 50, topP: 0.8 },
    { temperature: 1, topK: 1, topP: 1 },
    { temperature: 1, topK: 0, topP: 1e-6 },
    { temperature: 1, topK: 0, topP: 0 },
    { temperature: 2, topK: 1_000_000, topP: 0.999 },
    { temperature: 1e-3, topK: 0, topP: 1 },
    { temperature: 1e-20, topK: 0, topP: 0.5 },
    { temperature: 100, topK: 7, topP: 0.5 },
  ];
  it.each(rules)('follows the rule at T $temperature, top-k $topK, top-p $topP', async (rule) => {
    for (const vocab of [517, 32000]) {
      const logits = Array.from({ length: 8 }, (_, r) => normals(20 + r, vocab, 3));
      const seeds = [0, 1, 2, 3, 4, 5, 0xffffffff, 123456789];
      const positions = [0, 1, 17, 255, 4095, 65536, 131071, 2];
      const drawn = await draw(bench(), logits, rule, { seeds, positions });
      drawn.forEach((got, r) => expectSample(got, logits[r], rule, seeds[r], positions[r]));
    }
  });

  it.each(Object.keys(adversarial))('follows the rule on hard rows: %s', async (name) => {
    const logits = Array.from({ length: 4 }, () => adversarial[name](517));
    const seeds = [11, 12, 13, 14];
    for (const rule of rules) {
      const drawn = await draw(bench(), logits, rule, { seeds });
      drawn.forEach((got, r) => expectSample(got, logits[r], rule, seeds[r], r));
    }
  });

  it('keeps exactly the tokens that top-k and top-p keep', async () => {
    // Every kept token turns up over many positions and no other does: 64 draws from rows that keep 3 to 6 tokens.
    const logits = new Float32Array(600).map((_, i) => (i % 100 === 7 ? 5 : -i / 600));
    const rule = { temperature: 1, topK: 4, topP: 1 };
    const threshold = keepThreshold(logits, rule);
    const seen = new Set<number>();
    for (let batch = 0; batch < 8; batch++) {
      const positions = Array.from({ length: 8 }, (_, r) => batch * 8 + r);
      const drawn = await draw(
        bench(),
        positions.map(() => logits),
        rule,
        { positions },
      );
      drawn.forEach((got) => seen.add(got.token));
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([7, 107, 207, 307, 407, 507]);
    expect(threshold).toBe(5);
  });

  it('agrees with the reference over a large vocabulary', async () => {
    const vocab = 131072;
    const logits = [normals(31, vocab, 2), normals(32, vocab, 5)];
    for (const rule of [rules[0], rules[3], rules[2]]) {
      const drawn = await draw(bench(), logits, rule, { seeds: [5, 6] });
      drawn.forEach((got, r) => expectSample(got, logits[r], rule, [5, 6][r], r));
    }
  });

  it('gives lanes with one seed one stream, whatever their logits', async () => {
    const rule = { temperature: 1, topK: 0, topP: 1 };
    const logits = normals(40, 517, 2);
    const shifted = logits.map((value) => value + 3);
    const drawn = await draw(bench(), [logits, shifted, logits], rule, { seeds: [9, 9, 9], positions: [4, 4, 4] });
    expect(drawn[1].token).toBe(drawn[0].token);
    expect(drawn[2].token).toBe(drawn[0].token);
  });

  it('moves the row table forward, ends lanes at stop tokens and leaves ended lanes alone', async () => {
    const logits = [3, 8, 8, 5].map((best) => new Float32Array(517).fill(2, best, best + 1));
    const flags = [0 | (15 << 16), (1 | (4 << 16) | LAST_PROMPT_BIT) >>> 0, (2 | (9 << 16) | ENDED_BIT) >>> 0, 3];
    const drawn = await draw(bench(), logits, greedy, { flags, positions: [10, 20, 30, 40], stops: [8, 516] });
    expect(drawn[0]).toMatchObject({ token: 3, row: [3, 100, 11, 0] });
    expect(drawn[1]).toMatchObject({ token: 8, row: [8, 101, 21, (1 | (5 << 16) | ENDED_BIT) >>> 0] });
    expect(drawn[2]).toEqual({ token: NO_TOKEN, logprob: 0, row: [7, 102, 30, (2 | (10 << 16) | ENDED_BIT) >>> 0] });
    expect(drawn[3]).toMatchObject({ token: 5, row: [5, 103, 41, 3 | (1 << 16)] });
  });

  it('gives a token of the vocabulary even for a row of NaNs', async () => {
    const [got] = await draw(bench(), [new Float32Array(517).fill(NaN)], { temperature: 1, topK: 5, topP: 0.9 });
    expect(got.token).toBeLessThan(517);
  });
});

async function scoreRows(bench: KernelBench, logits: readonly Float32Array[], targets: readonly number[], pairs: readonly number[]) {
  const vocab = logits[0].length;
  const stride = padded(vocab);
  const view = { binding: { buffer: bench.storage(strided(logits, stride, junk)) }, vocab, stride, rows: logits.length };
  const scores = bench.empty(logits.length * 8);
  const divergences = bench.empty(Math.max(1, pairs.length / 2) * 4);
  await bench.run([
    logprobDispatch(view, logits.length, {
      params: { buffer: bench.uniform(rowParams(view, logits.length)) },
      targets: { buffer: bench.storage(new Uint32Array(targets.flatMap((token, row) => [row, token]))) },
      output: { buffer: scores },
    }),
    klDispatch(view, pairs.length / 2, {
      params: { buffer: bench.uniform(rowParams(view, pairs.length / 2)) },
      scores: { buffer: scores },
      pairs: { buffer: bench.storage(new Uint32Array(pairs)) },
      output: { buffer: divergences },
    }),
  ]);
  return { scores: await bench.readF32(scores), divergences: await bench.readF32(divergences) };
}

describeKernels('logprob and kl', await testDevices(), (bench) => {
  it.each([1, 517, 32000, 131072])('agree with the reference, vocabulary %i', async (vocab) => {
    const logits = [normals(1, vocab, 3), normals(2, vocab, 0.5), normals(1, vocab, 3).map((v, i) => v + 1e-3 * Math.sin(i))];
    const targets = [vocab - 1, NO_TOKEN, 0];
    const pairs = [0, 1, 1, 0, 0, 2, 2, 2];
    const { scores, divergences } = await scoreRows(bench(), logits, targets, pairs);
    logits.forEach((row, r) => {
      const expected = targets[r] === NO_TOKEN ? 0 : logprob(row, targets[r]);
      expect(Math.abs(scores[r * 2] - expected)).toBeLessThan(3e-5);
      expect(Math.abs(scores[r * 2 + 1] - logSumExp(row))).toBeLessThan(3e-5);
    });
    for (let i = 0; i < 4; i++) {
      const expected = kl(logits[pairs[2 * i]], logits[pairs[2 * i + 1]]);
      expect(divergences[i]).toBeGreaterThanOrEqual(0);
      // Relative: small divergences, those of gentle steering, keep their digits.
      expect(Math.abs(divergences[i] - expected)).toBeLessThan(2e-4 * expected + 1e-11);
    }
  });

  it('hold on hard rows', async () => {
    const names = Object.keys(adversarial);
    const logits = names.map((name) => adversarial[name](517));
    const pairs = names.flatMap((_, a) => names.flatMap((_, b) => [a, b]));
    const { scores, divergences } = await scoreRows(
      bench(),
      logits,
      names.map((_, r) => r),
      pairs,
    );
    logits.forEach((row, r) => {
      expect(difference([scores[r * 2], scores[r * 2 + 1]], [logprob(row, r), logSumExp(row)]), names[r]).toBeLessThan(2e-5);
    });
    for (let i = 0; i < pairs.length / 2; i++) {
      const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
      const expected = kl(logits[a], logits[b]);
      if (a === b) expect(divergences[i]).toBe(0);
      expect(difference([divergences[i]], [expected]), `${names[a]} || ${names[b]}`).toBeLessThan(1e-4);
    }
  });

  it('take several tokens of one row', async () => {
    const logits = [normals(1, 517, 3), normals(2, 517, 3)];
    const view = { binding: { buffer: bench().storage(strided(logits, 544, junk)) }, vocab: 517, stride: 544, rows: 2 };
    const targets = [0, 3, 1, 5, 1, 516, 0, NO_TOKEN, 1, 5];
    const scores = bench().empty(5 * 8);
    await bench().run([
      logprobDispatch(view, 5, {
        params: { buffer: bench().uniform(rowParams(view, 5)) },
        targets: { buffer: bench().storage(new Uint32Array(targets)) },
        output: { buffer: scores },
      }),
    ]);
    const got = await bench().readF32(scores);
    for (let i = 0; i < 5; i++) {
      const row = logits[targets[2 * i]];
      expect(Math.abs(got[2 * i] - (targets[2 * i + 1] === NO_TOKEN ? 0 : logprob(row, targets[2 * i + 1])))).toBeLessThan(3e-5);
      expect(Math.abs(got[2 * i + 1] - logSumExp(row))).toBeLessThan(3e-5);
    }
    expect(got[2]).toBe(got[8]);
  });

  it('go on along y where x is full', async () => {
    const rows = 13;
    const logits = Array.from({ length: rows }, (_, r) => new Float32Array([r % 7, 1, 2]));
    const view = { binding: { buffer: bench().storage(strided(logits, 32)) }, vocab: 3, stride: 32, rows };
    const scores = bench().empty(rows * 8);
    const dispatch = logprobDispatch(view, rows, {
      params: { buffer: bench().uniform(rowParams(view, rows)) },
      targets: { buffer: bench().storage(new Uint32Array(logits.flatMap((_, row) => [row, 0]))) },
      output: { buffer: scores },
    });
    expect(dispatch.workgroups).toEqual([rows, 1, 1]);
    await bench().run([{ ...dispatch, workgroups: [5, 3, 1] }]);
    const got = await bench().readF32(scores);
    logits.forEach((row, r) => expect(Math.abs(got[r * 2] - logprob(row, 0))).toBeLessThan(1e-5));
  });
});

describeKernels('topk', await testDevices(), (bench) => {
  const run = async (logits: readonly Float32Array[], n: number) => {
    const vocab = logits[0].length;
    const stride = padded(vocab);
    const view = { binding: { buffer: bench().storage(strided(logits, stride, junk)) }, vocab, stride, rows: logits.length };
    const output = bench().empty(logits.length * n * 8);
    await bench().run([
      topkDispatch(view, { params: { buffer: bench().uniform(rowParams(view, logits.length, n)) }, output: { buffer: output } }),
    ]);
    const bytes = await bench().read(output);
    const words = new Uint32Array(bytes);
    const values = new Float32Array(bytes);
    return logits.map((_, r) =>
      Array.from({ length: n }, (_, i) => ({ id: words[(r * n + i) * 2], logprob: values[(r * n + i) * 2 + 1] })),
    );
  };

  it.each([1, 5, 32])('lists %i tokens as the reference does', async (n) => {
    for (const vocab of [517, 32000, 131072]) {
      const logits = Array.from({ length: vocab === 517 ? 8 : 2 }, (_, r) => normals(60 + r, vocab, 2));
      (await run(logits, n)).forEach((list, r) => {
        const expected = topTokens(logits[r], n);
        expect(list.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        expect(
          difference(
            list.map((top) => top.logprob),
            expected.map((top) => top.logprob),
          ),
        ).toBeLessThan(2e-5);
      });
    }
  });

  it.each(Object.keys(adversarial))('puts the lowest ids first on ties: %s', async (name) => {
    const logits = [adversarial[name](517)];
    for (const n of [1, 4, MAX_TOP]) {
      const [list] = await run(logits, n);
      expect(list.map(({ id }) => id)).toEqual(topTokens(logits[0], n).map(({ id }) => id));
    }
  });

  it('says where the vocabulary ends', async () => {
    const [list] = await run([new Float32Array([1, 3, 2])], 5);
    expect(list.map(({ id }) => id)).toEqual([1, 2, 0, NO_TOKEN, NO_TOKEN]);
    expect(list.slice(3).map((top) => top.logprob)).toEqual([0, 0]);
  });
});

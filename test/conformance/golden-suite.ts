import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import { expectClose, expectIdentical, generated, logSoftmax } from './compare.ts';
import { inScope, type Accuracy, type EngineUnderTest } from './engines.ts';
import {
  entry,
  goldenFile,
  goldenNames,
  goldenRoot,
  loadGolden,
  loadGoldenModel,
  replaceTensors,
  row,
  tensors,
  type GoldenFile,
} from './golden.ts';
import { translate } from './translate.ts';

const families: ReadonlySet<string> = new Set(['llama', 'mistral', 'qwen2', 'gemma3_text']);

export interface Tolerance {
  readonly logits: number;
  readonly values: { readonly abs: number; readonly rel: number };
}

export function toleranceOf({ tolerances, measured }: GoldenFile, { factor, half }: Accuracy): Tolerance {
  const more = half * (measured.half_rounded_weights_logit_diff ?? 0.02);
  return {
    logits: tolerances.logits_abs * factor + more,
    values: { abs: tolerances.hooks_abs * factor + more, rel: (tolerances.hooks_rel ?? 0) * factor },
  };
}

/** Greedy tokens must be equal; where an engine is allowed to be off, up to the first step at which the best two are that close. */
export function expectGreedy(
  got: readonly number[],
  expected: Float32Array,
  gaps: Float32Array,
  accuracy: Accuracy,
  logits: number,
  what: string,
): void {
  const close = accuracy.half === 0 ? -1 : gaps.findIndex((gap) => gap <= 2 * logits);
  const count = close < 0 ? expected.length : close;
  expect(got.slice(0, count), what).toEqual([...expected.subarray(0, count)]);
}

/** Synthetic goldens (random weights, all particulars of the families) for one engine. */
export function describeGoldens(engine: EngineUnderTest): void {
  const only = inScope(engine, 'goldens');
  for (const name of goldenNames().filter((name) => !name.startsWith('real_'))) {
    const { family } = goldenFile(name);
    if (!families.has(family)) {
      it.skip(`${name}: the family ${family} is not supported yet`);
      continue;
    }
    if (!only(name)) continue;
    describe(name, () => oneGolden(engine, name));
  }
}

function oneGolden(under: EngineUnderTest, name: string): void {
  const { file, vectors, expected } = loadGolden(name);
  const { spec, source } = loadGoldenModel(name);
  const tolerance = toleranceOf(file, under.accuracy);
  const sequences = file.sequences.map((ids, s) => ({ ids, promptLength: file.prompt_lens[s] }));
  let engine: Engine;

  beforeAll(async () => {
    engine = await under.open(spec, source);
  });
  afterAll(async () => {
    await engine.dispose();
  });

  it('gives the base logits of every sequence', async () => {
    const scores = await engine.score({ sequences, logits: true });
    scores.sequences.forEach(({ logits, logprobs }, s) => {
      const want = entry(expected, `logits.base.${s}`);
      if (!logits) return expect.fail('no logits');
      expectClose(logits, want.data, { abs: tolerance.logits }, `logits of sequence ${s}`);
      const next = file.sequences[s].slice(1).map((id, t) => logSoftmax(row(want, t))[id]);
      expectClose(logprobs, next, { abs: 2 * tolerance.logits }, `log-probabilities of sequence ${s}`);
    });
  });

  it('captures every point', async () => {
    const points = [...new Set(engine.model.points.map(({ point }) => point))].filter((point) => point !== 'logits');
    const { arrays } = await engine.capture({ sequences: [sequences[0]], points: points.map((point) => ({ point })) });
    let compared = 0;
    for (const { point, layer, data } of arrays) {
      const key = layer < 0 ? `hooks.base.${point}` : `hooks.base.${layer}.${point}`;
      // resid_pre of later layers is resid_post of the layer before and is stored once.
      const same = point === 'resid_pre' && layer > 0 ? `hooks.base.${layer - 1}.resid_post` : key;
      expectClose(data, entry(expected, same).data, tolerance.values, key);
      compared++;
    }
    expect(compared).toBe(2 + 11 * spec.layers);
  });

  const chosen = inScope(under, 'cases');
  for (const [at, { name: tag, interventions }] of file.interventions.entries()) {
    if (!chosen(tag)) continue;
    it(`runs the case ${tag}`, async () => {
      const graph = translate(interventions, spec, vectors);
      await oneCase(engine, under, graph, tag, { file, expected, tolerance, prefix: '', prompts: promptsOf(under, file, at) });
      if (tag === 'zero_strength') {
        const { sequences: zero } = await engine.score({ sequences, graph, logits: true });
        const { sequences: base } = await engine.score({ sequences, logits: true });
        zero.forEach(({ logits }, s) => {
          if (logits && base[s].logits) expectIdentical(logits, base[s].logits, `logits of sequence ${s}`);
        });
      }
      if (tag === 'everything') {
        const { arrays } = await engine.capture({ sequences: [sequences[0]], points: [{ point: 'resid_post' }], graph });
        for (const { layer, data } of arrays) {
          expectClose(data, entry(expected, `hooks.everything.${layer}.resid_post`).data, tolerance.values, `resid_post of layer ${layer}`);
        }
      }
    });
  }

  if (name === 'llama_quantized') describeQuantized(under);
}

interface CaseNumbers {
  readonly file: GoldenFile;
  readonly expected: ReturnType<typeof loadGolden>['expected'];
  readonly tolerance: Tolerance;
  /** Of the entries in `expected`. */
  readonly prefix: string;
  /** Sequences whose prompts are continued. */
  readonly prompts: readonly number[];
}

/** Which prompts the case number `at` continues. */
function promptsOf({ scope }: EngineUnderTest, { sequences }: GoldenFile, at: number): number[] {
  const count = Math.min(scope?.prompts ?? sequences.length, sequences.length);
  return Array.from({ length: count }, (_, i) => (at + i) % sequences.length);
}

async function oneCase(engine: Engine, under: EngineUnderTest, graph: BoundGraph, tag: string, numbers: CaseNumbers): Promise<void> {
  const { file, expected, tolerance, prefix, prompts } = numbers;
  const sequences = file.sequences.map((ids, s) => ({ ids, promptLength: file.prompt_lens[s] }));
  expect(engine.check(graph)).toEqual([]);
  const scores = await engine.score({ sequences, graph, logits: true });
  scores.sequences.forEach(({ logits, edited }, s) => {
    const ids = file.sequences[s];
    if (!logits || !edited) return expect.fail('no logits, or no edited log-probabilities');
    const width = logits.length / ids.length;
    const last = logSoftmax(logits.subarray((ids.length - 1) * width));
    expectClose(
      last,
      row(entry(expected, `${prefix}logprobs_last.${tag}`), s),
      { abs: 2 * tolerance.logits },
      `last log-probabilities of sequence ${s}`,
    );
    const next = ids.slice(1).map((id, t) => logSoftmax(logits.subarray(t * width, (t + 1) * width))[id]);
    expectClose(edited, next, { abs: 1e-4 }, `edited log-probabilities of sequence ${s} against its logits`);
    const stored = expected[`${prefix}logits.${tag}.${s}`] ?? (tag === 'zero_strength' ? expected[`${prefix}logits.base.${s}`] : undefined);
    if (stored) expectClose(logits, stored.data, { abs: tolerance.logits }, `logits of sequence ${s}`);
  });
  for (const s of prompts) {
    const prompt = file.sequences[s].slice(0, file.prompt_lens[s]);
    const { tokens } = await generated(engine, { prompt, graph, maxTokens: file.new_tokens, stop: [] });
    [`${prefix}greedy.base`, `${prefix}greedy.${tag}`].forEach((key, lane) => {
      const gaps = row(entry(expected, key.replace('greedy.', 'greedy_gaps.')), s);
      expectGreedy(tokens[lane], row(entry(expected, key), s), gaps, under.accuracy, tolerance.logits, `${key} of prompt ${s}`);
    });
  }
}

/** Integer weights: as the goldens store them, and as this engine quantises the same weights by itself. */
function describeQuantized(under: EngineUnderTest): void {
  const { file, vectors, expected } = loadGolden('llama_quantized');
  const { spec, source } = loadGoldenModel('llama_quantized');
  const stored = tensors(join(goldenRoot, 'llama_quantized', 'quantized.safetensors'));
  const tolerance = toleranceOf(file, under.accuracy);
  const sequences = file.sequences.map((ids, s) => ({ ids, promptLength: file.prompt_lens[s] }));

  const check = async (engine: Engine, variant: string): Promise<void> => {
    const prefix = `${variant}:`;
    try {
      const scores = await engine.score({ sequences, logits: true });
      scores.sequences.forEach(({ logits }, s) => {
        expectClose(logits ?? [], entry(expected, `${prefix}logits.base.${s}`).data, { abs: tolerance.logits }, `logits of sequence ${s}`);
      });
      for (const [at, { name: tag, interventions }] of file.interventions.entries()) {
        if (!(`${prefix}logprobs_last.${tag}` in expected)) continue;
        await oneCase(engine, under, translate(interventions, spec, vectors), tag, {
          file,
          expected,
          tolerance,
          prefix,
          prompts: promptsOf(under, file, at),
        });
      }
    } finally {
      await engine.dispose();
    }
  };

  for (const variant of ['int8', 'int4_max7', 'int4_ort']) {
    it(`runs the stored weights ${variant}, dequantised`, async () => {
      const replaced = new Map<string, Float32Array>();
      for (const name of source.tensors.keys()) {
        const q = stored[`${variant}.${name}.q`];
        const scale = stored[`${variant}.${name}.scale`];
        if (q && scale)
          replaced.set(
            name,
            q.data.map((value, i) => value * scale.data[Math.floor(i / 32)]),
          );
      }
      expect(replaced.size).toBe(7 * spec.layers);
      await check(await under.open(spec, replaceTensors(source, replaced)), variant);
    });
  }

  for (const [quantization, variant] of [
    ['q8', 'int8'],
    ['q4', 'int4_ort'],
  ] as const) {
    it(`quantises to ${quantization} as ${variant} says`, async () => {
      await check(await under.open(spec, source, { quantization }), variant);
    });
  }
}

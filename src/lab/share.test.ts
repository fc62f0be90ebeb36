import { deflateSync } from 'fflate';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { defaultExperiment, type Experiment } from './experiment.ts';
import { setHeads } from './heads.ts';
import type { Palette } from './palette.ts';
import { decodeLink, encodeLink, packExperiment, unpackExperiment } from './share.ts';

const shape = { family: 'llama', layers: 2, heads: 3, kvHeads: 3, headDim: 4, hidden: 12, intermediate: 16 };
const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });

const experiments: fc.Arbitrary<Experiment> = fc
  .record({
    values: fc.array(f32, { minLength: 24, maxLength: 24 }),
    rows: fc.uniqueArray(fc.integer({ min: 0, max: 5 })),
    strength: fc.double({ min: -8, max: 8, noNaN: true }),
    more: fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { maxLength: 3 }),
    prompt: fc.string({ unit: 'grapheme' }),
    system: fc.string(),
    seed: fc.nat(),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    tokens: fc.constantFrom('all' as const, 'generated' as const, { from: -3, to: 7 }, { not: { at: [1, 2] } }),
    towards: fc.string({ unit: 'grapheme' }),
  })
  .map(({ values, rows, strength, more, prompt, system, seed, temperature, tokens, towards }) => {
    const palette: Palette = {
      recipe: { kind: 'texts', towards, away: 'b' },
      layers: 2,
      heads: 3,
      headDim: 4,
      data: Float32Array.from(values),
      relevance: Float32Array.from({ length: 6 }, (_, i) => i),
      note: 'a note',
    };
    const changes = rows.map((row, i) => ({ layer: Math.floor(row / 3), head: row % 3, strength: i + 0.5 }));
    return {
      ...defaultExperiment,
      input: { mode: 'text' as const, prompt, system },
      sampling: { temperature, topK: 0, topP: 0.9, seed },
      steering: { graph: setHeads(null, shape, palette, tokens, changes), palette, tokens, strength, more },
    };
  });

/** -0 becomes 0 in JSON; everything else is kept bit for bit. */
const positiveZero = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, part: unknown) => (part instanceof Float32Array ? [...part] : part)));

describe('share links', () => {
  it('carry an experiment through unchanged, without the palette’s other rows', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const back = decodeLink(encodeLink(experiment));
        const palette = experiment.steering.palette && {
          ...experiment.steering.palette,
          data: new Float32Array(0),
          relevance: new Float32Array(0),
        };
        expect(positiveZero(back)).toEqual(positiveZero({ ...experiment, steering: { ...experiment.steering, palette } }));
        for (const [name, vector] of Object.entries(experiment.steering.graph?.vectors ?? {})) {
          expect(back.steering.graph?.vectors[name].data).toEqual(vector.data);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('are safe in a URL', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        expect(encodeLink(experiment)).toMatch(/^1\.[A-Za-z0-9_-]+$/);
      }),
      { numRuns: 20 },
    );
  });

  it('are refused with a sentence when damaged in any way, never with another error', () => {
    const link = encodeLink(defaultExperiment);
    fc.assert(
      fc.property(fc.nat({ max: link.length - 1 }), fc.constantFrom('', 'A', '-', '%', '\u0000'), (at, put) => {
        try {
          decodeLink(link.slice(0, at) + put + link.slice(at + 1));
        } catch (error) {
          expect(error).toBeInstanceOf(TillerError);
        }
      }),
    );
    expect(() => decodeLink(link.slice(0, -8))).toThrow(TillerError);
    expect(() => decodeLink('')).toThrow(TillerError);
  });

  it('do not unpack to more than memory should hold', () => {
    const bomb = Buffer.from(deflateSync(new Uint8Array(16 * 1024 * 1024), { level: 9 })).toString('base64url');
    expect(() => decodeLink(`1.${bomb}`)).toThrow(/unpacks to more/);
  });

  it('refuse unknown keys, wrong vectors and bad selectors', () => {
    const good = packExperiment(defaultExperiment, { palette: false });
    expect(() => unpackExperiment({ ...good, extra: 1 })).toThrow(TillerError);
    expect(() => unpackExperiment({ ...good, tokens: 'some' })).toThrow(TillerError);
    expect(() => unpackExperiment({ ...good, maxTokens: 1e9 })).toThrow(TillerError);
    expect(() => unpackExperiment(null)).toThrow(TillerError);
  });
});

describe('stored experiments', () => {
  it('keep the whole palette', () => {
    fc.assert(
      fc.property(experiments, (experiment) => {
        const back = unpackExperiment(JSON.parse(JSON.stringify(packExperiment(experiment, { palette: true }))));
        expect(back.steering.palette?.data).toEqual(experiment.steering.palette?.data);
      }),
      { numRuns: 20 },
    );
  });
});

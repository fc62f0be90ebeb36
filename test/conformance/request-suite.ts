import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, GenerateRequest, ScoreRequest } from '../../src/engine/engine.ts';
import { generated } from './compare.ts';
import type { EngineUnderTest } from './engines.ts';
import { loadGoldenModel } from './golden.ts';
import { graphOf, oneHead } from './graphs.ts';

/** What engines refuse, how they stop, and what they say about themselves. */
export function describeRequests(under: EngineUnderTest): void {
  const { spec, source } = loadGoldenModel('llama_gqa_tied');
  let engine: Engine;

  beforeAll(async () => {
    engine = await under.open(spec, source, { maxContext: 32 });
  });
  afterAll(async () => {
    await engine.dispose();
  });

  const base: GenerateRequest = { prompt: [1, 2, 3], maxTokens: 4, stop: [] };
  const codeOf = (request: Promise<unknown>): Promise<unknown> =>
    request.then(
      () => 'no error',
      (error: { code?: unknown }) => error.code ?? error,
    );

  describe('requests', () => {
    const wrong: readonly (readonly [string, Partial<GenerateRequest>, string])[] = [
      ['an empty prompt', { prompt: [] }, 'request/invalid'],
      ['a token beyond the vocabulary', { prompt: [1, spec.vocab] }, 'request/invalid'],
      ['a negative token', { prompt: [-1] }, 'request/invalid'],
      ['half a token', { prompt: [1.5] }, 'request/invalid'],
      ['no tokens to generate', { maxTokens: 0 }, 'request/invalid'],
      ['too much text', { maxTokens: 30 }, 'request/context'],
      ['a negative temperature', { sampling: { temperature: -1 } }, 'request/invalid'],
      ['a temperature that is no number', { sampling: { temperature: Number.NaN } }, 'request/invalid'],
      ['a topP of 0', { sampling: { topP: 0 } }, 'request/invalid'],
      ['a seed beyond 32 bits', { sampling: { seed: 2 ** 32 } }, 'request/invalid'],
      ['roles for another number of tokens', { roles: ['user'] }, 'request/invalid'],
      ['no lanes', { lanes: [] }, 'request/invalid'],
    ];
    for (const [what, change, code] of wrong) {
      it(`refuses ${what}`, async () => {
        expect(await codeOf(generated(engine, { ...base, ...change }))).toBe(code);
      });
    }

    it('refuses sequences that are empty, foreign, too long or shorter than their prompt', async () => {
      const score = (ids: readonly number[], promptLength?: number): Promise<unknown> =>
        codeOf(engine.score({ sequences: [{ ids, promptLength }] }));
      expect(await score([])).toBe('request/invalid');
      expect(await score([spec.vocab])).toBe('request/invalid');
      expect(await score(Array.from({ length: 33 }, () => 1))).toBe('request/context');
      expect(await score([1, 2], 3)).toBe('request/invalid');
      expect(await codeOf(engine.capture({ sequences: [{ ids: [1] }], points: [] }))).toBe('request/invalid');
      expect(await codeOf(engine.capture({ sequences: [{ ids: [1] }], points: [{ point: 'z', layers: [spec.layers] }] }))).toBe(
        'request/invalid',
      );
    });

    it('refuses conditions that contradict each other, and answers that are nowhere', async () => {
      const graph = oneHead(spec, 0, 0, 1);
      const score = (more: Partial<ScoreRequest>): Promise<unknown> => codeOf(engine.score({ sequences: [{ ids: [1, 2, 3] }], ...more }));
      const lanes = [{ strengths: { '*': 1 } }];
      expect(await score({ graph, lanes, factor: 2 })).toBe('request/invalid');
      expect(await score({ lanes })).toBe('request/invalid');
      expect(await score({ graph, lanes: [] })).toBe('request/invalid');
      expect(await score({ graph, lanes: Array.from({ length: 4097 }, () => lanes[0]) })).toBe('request/invalid');
      expect(await score({ positions: 'answer' })).toBe('request/invalid');
      expect(await score({ positions: 'prompt' as 'all' })).toBe('request/invalid');
      expect(await score({ top: -1 })).toBe('request/invalid');
      expect(await score({ graph, lanes: [{ strengths: { nobody: 1 } }] })).toBe('graph/refused');
      const whole = await engine.score({ sequences: [{ ids: [1, 2, 3], promptLength: 3 }], graph, lanes, positions: 'answer' });
      expect(whole.sequences[0].logprobs.length).toBe(0);
      expect(whole.sequences[0].edits).toEqual({ head: 3 });
    });

    it('refuses graphs that it cannot run, with reason and remedy, before any work', async () => {
      const cases = [
        [graphOf({ ...spec, heads: spec.heads * 2 }, []), 'graph/model-mismatch'],
        [oneHead(spec, spec.layers, 0, 1), 'graph/refused'],
        [oneHead(spec, 0, spec.heads, 1), 'graph/refused'],
      ] as const;
      for (const [graph, code] of cases) {
        const refusals = engine.check(graph);
        expect(refusals.map((refusal) => refusal.code)).toEqual([code]);
        expect(refusals[0].reason).not.toBe('');
        expect(refusals[0].remedy).not.toBe('');
        expect(await codeOf(generated(engine, { ...base, graph }))).toBe(code);
        expect(await codeOf(engine.score({ sequences: [{ ids: [1, 2] }], graph }))).toBe(code);
        expect(await codeOf(engine.capture({ sequences: [{ ids: [1] }], points: [{ point: 'z' }], graph }))).toBe(code);
      }
      const lanes = [{ strengths: { nobody: 1 } }];
      expect(await codeOf(generated(engine, { ...base, graph: oneHead(spec, 0, 0, 1), lanes }))).toBe('graph/refused');
      expect(engine.check(oneHead(spec, 0, 0, 1))).toEqual([]);
    });

    it('runs one lane without a graph and two with one', async () => {
      expect((await generated(engine, base)).tokens.length).toBe(1);
      expect((await generated(engine, { ...base, graph: oneHead(spec, 0, 0, 1) })).tokens.length).toBe(2);
    });

    it('ends at a stop token, which it delivers', async () => {
      const { tokens } = await generated(engine, { ...base, maxTokens: 8 });
      const stop = tokens[0][1];
      const short = await generated(engine, { ...base, maxTokens: 8, stop: [stop] });
      expect(short.tokens[0]).toEqual(tokens[0].slice(0, tokens[0].indexOf(stop) + 1));
      expect(short.summary.stopped).toBe('stop');
    });

    it('does not start when the signal is set', async () => {
      const signal = AbortSignal.abort();
      expect(await codeOf(generated(engine, { ...base, signal }))).toBe('request/aborted');
      expect(await codeOf(engine.score({ sequences: [{ ids: [1, 2] }], signal }))).toBe('request/aborted');
      expect(await codeOf(engine.capture({ sequences: [{ ids: [1] }], points: [{ point: 'z' }], signal }))).toBe('request/aborted');
    });

    it('stops soon after the signal is set, with the tokens so far and a summary, and runs again', async () => {
      const controller = new AbortController();
      const run = engine.generate({ ...base, maxTokens: 29, signal: controller.signal });
      let steps = 0;
      let next = await run.next();
      while (!next.done) {
        steps++;
        controller.abort();
        next = await run.next();
      }
      expect(next.value.stopped).toBe('aborted');
      expect(steps).toBeLessThan(29);
      expect((await generated(engine, base)).tokens[0].length).toBe(4);
    });

    it('can be left in the middle and asked again', async () => {
      const run = engine.generate({ ...base, maxTokens: 20 });
      await run.next();
      await run.return({} as never);
      expect((await generated(engine, base)).tokens[0].length).toBe(4);
    });

    it('runs requests that overlap as if each were alone', async () => {
      const other = { ...base, prompt: [4, 5, 6, 7] };
      const want = [await generated(engine, base), await generated(engine, other)];
      const got = await Promise.all([generated(engine, base), generated(engine, other)]);
      expect(got.map((run) => run.tokens)).toEqual(want.map((run) => run.tokens));
    });

    it('says what it is', () => {
      const { model } = engine;
      expect(model.limits.maxContext).toBe(32);
      expect(model.vocab).toBe(spec.vocab);
      expect(model.points.length).toBe(14);
      expect(model.points.find(({ point }) => point === 'z')?.width).toBe(spec.heads * spec.headDim);
      expect(model.identity).not.toBe('');
      expect(model.memory.weights).toBeGreaterThan(0);
      expect(model.memory.cachePerToken).toBeGreaterThan(0);
      expect(model.kernels.length).toBeGreaterThan(0);
    });

    it('refuses work after it has been closed', async () => {
      const closed = await under.open(spec, source);
      await closed.dispose();
      await closed.dispose();
      const codes = ['request/engine', 'device/lost'];
      expect(codes).toContain(await codeOf(generated(closed, base)));
      expect(codes).toContain(await codeOf(closed.score({ sequences: [{ ids: [1, 2] }] })));
    });
  });
}

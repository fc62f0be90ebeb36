import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.ts';
import type { BoundGraph, GraphNode, Lane } from '../../src/graph/document.ts';
import { forwardOrder } from '../../src/graph/points.ts';
import { expectClose, expectIdentical, generated, logitsOf, maxDifference, type Generated } from './compare.ts';
import { inScope, referenceEngine, type EngineUnderTest } from './engines.ts';
import { describePrefixes } from './prefix-suite.ts';
import { describeRequests } from './request-suite.ts';
import { describeSampling } from './sampling-suite.ts';
import { loadGolden, loadGoldenModel, tensors, goldenRoot, type GoldenModel } from './golden.ts';
import { direction, everyPoint, graphOf, oneHead, rich, vector } from './graphs.ts';

const MODELS = ['llama_gqa_tied', 'mistral_window', 'gemma3'];
const TOKENS = 6;

/** What must hold on every engine whatever the numbers are. */
export function describeInvariants(under: EngineUnderTest): void {
  const chosen = inScope(under, 'invariants');
  for (const name of MODELS.filter(chosen)) describe(name, () => invariantsOf(under, name));
  if (chosen('sampling')) describeSampling(under);
  if (chosen('requests')) describeRequests(under);
  if (chosen('prefixes')) describePrefixes(under);
}

function invariantsOf(under: EngineUnderTest, name: string): void {
  const { file } = loadGolden(name);
  const { spec, source }: GoldenModel = loadGoldenModel(name);
  const { order } = under.accuracy;
  const sequences = file.sequences.map((ids, s) => ({ ids, promptLength: file.prompt_lens[s] }));
  const ids = file.sequences[0];
  const prompt = ids.slice(0, file.prompt_lens[0]);
  const middle = Math.floor(spec.layers / 2);
  // Where opening an engine takes long, what a fresh one would give comes from the reference.
  const oracle = under.scope ? referenceEngine : under;
  const apart = under.scope ? Math.max(order, 2 * file.tolerances.logits_abs) : order;
  const full: Lane = { name: 'full', strengths: { '*': 1 } };
  let engine: Engine;
  let graph: BoundGraph;

  beforeAll(async () => {
    graph = rich(spec, spec.vocab);
    engine = await under.open(spec, source);
  });
  afterAll(async () => {
    await engine.dispose();
  });

  const run = (on: Engine, of: BoundGraph | null, lanes?: readonly Lane[], maxTokens = TOKENS): Promise<Generated> =>
    generated(on, { prompt, graph: of, lanes, maxTokens, stop: [] });

  /** The same tokens, and log-probabilities as close as another order of summation allows. */
  function expectSame(got: Generated, lane: number, want: Generated, wantLane: number, what: string, abs = order): void {
    expect(got.tokens[lane], `${what}: tokens`).toEqual(want.tokens[wantLane]);
    expectClose(got.logprobs[lane], want.logprobs[wantLane], { abs }, `${what}: log-probabilities`);
  }

  describe('nothing asked, nothing done', () => {
    it('strength 0 at every point equals no graph, bit for bit', async () => {
      const none = await engine.score({ sequences, logits: true });
      const zero = await engine.score({ sequences, graph: everyPoint(spec, spec.vocab, 0), logits: true });
      zero.sequences.forEach((score, s) => {
        expectIdentical(logitsOf(score), logitsOf(none.sequences[s]), `logits of sequence ${s}`);
        expect(Math.max(0, ...(score.kl ?? []))).toBe(0);
        expect(new Set(Object.values(score.edits))).toEqual(new Set([0]));
      });
    });

    it('a lane of factor 0 equals the unedited lane beside it, bit for bit', async () => {
      const { tokens, logprobs } = await run(engine, graph, [{ name: 'as is' }, { strengths: { '*': 0 } }, full]);
      expect(tokens[1]).toEqual(tokens[0]);
      expect(logprobs[1]).toEqual(logprobs[0]);
      expect(logprobs[2]).not.toEqual(logprobs[0]);
    });

    it('the unedited lane equals a run without a graph', async () => {
      expectSame(await run(engine, graph), 0, await run(engine, null), 0, 'lane 0');
    });
  });

  describe('one computation however it is cut', () => {
    it('cached decoding equals full recomputation under steering', async () => {
      const { tokens, logprobs } = await run(engine, graph);
      for (const lane of [0, 1]) {
        const all = [...prompt, ...tokens[lane]];
        const scores = await engine.score({ sequences: [{ ids: all, promptLength: prompt.length }], graph });
        const want = (lane === 0 ? scores.sequences[0].logprobs : scores.sequences[0].edited)?.subarray(prompt.length - 1);
        expectClose(logprobs[lane], want ?? [], { abs: Math.max(order, 1e-5) }, `lane ${lane}`);
      }
    });

    it('lanes equal single runs', async () => {
      const lanes: Lane[] = [{ name: 'as is' }, full, { strengths: { '*': 2, head: -1 } }, { strengths: { neurons: 1 } }];
      const together = await run(engine, graph, lanes);
      for (const [at, lane] of lanes.entries()) {
        const alone = await run(engine, graph, [lane]);
        expectSame(together, at, alone, 0, `lane ${at}`);
        expect(together.summary.edits[at]).toEqual(alone.summary.edits[0]);
      }
    });

    it('a batch of unequal lengths equals each alone', async () => {
      const batch = await engine.score({ sequences, graph, logits: true });
      for (const [s, sequence] of sequences.entries()) {
        const alone = await engine.score({ sequences: [sequence], graph, logits: true });
        expectClose(logitsOf(batch.sequences[s]), logitsOf(alone.sequences[0]), { abs: order }, `logits of sequence ${s}`);
        expect(batch.sequences[s].edits).toEqual(alone.sequences[0].edits);
      }
    });

    it('a longer sequence starts with the logits of a shorter one', async () => {
      const at = (length: number): Promise<Float32Array> =>
        engine
          .score({ sequences: [{ ids: ids.slice(0, length), promptLength: 3 }], graph, logits: true })
          .then((s) => logitsOf(s.sequences[0]));
      const short = await at(5);
      expectClose((await at(ids.length)).subarray(0, short.length), short, { abs: order }, 'logits of the first 5 tokens');
    });
  });

  describe('steering changes what it should', () => {
    it('leaves everything before a steered head, and the other heads beside it, as they are', async () => {
      const head = spec.heads - 1;
      const strength = 1.5;
      const steer = oneHead(spec, middle, head, strength);
      const points = engine.model.points.map(({ point }) => ({ point }));
      const [before, after] = [
        await engine.capture({ sequences: [{ ids }], points }),
        await engine.capture({ sequences: [{ ids }], points, graph: steer }),
      ];
      const here = forwardOrder('z', middle, spec.layers);
      before.arrays.forEach(({ point, layer, data, width }, i) => {
        const changed = after.arrays[i].data;
        const place = `${point} of layer ${layer}`;
        if (forwardOrder(point, layer, spec.layers) < here) return expectIdentical(changed, data, place);
        if (point !== 'z' || layer !== middle) return;
        const shift = direction(7, spec.headDim);
        for (let t = 0; t < ids.length; t++) {
          const start = t * width + head * spec.headDim;
          expectIdentical(changed.subarray(t * width, start), data.subarray(t * width, start), `heads before, token ${t}`);
          const want = shift.map((value, d) => data[start + d] + strength * value);
          expectClose(changed.subarray(start, start + spec.headDim), want, { abs: 1e-5 }, `head ${head}, token ${t}`);
        }
      });
      expect(maxDifference(before.arrays.at(-1)?.data ?? [], after.arrays.at(-1)?.data ?? [])).toBeGreaterThan(0.01);
    });

    it('a shift of z equals the same shift carried through o_proj', async () => {
      const weight = tensors(join(goldenRoot, name, 'model.safetensors'))[`model.layers.${middle}.self_attn.o_proj.weight`].data;
      const width = spec.heads * spec.headDim;
      const head = 1;
      const shift = direction(7, spec.headDim);
      const carried = Float32Array.from({ length: spec.hidden }, (_, o) =>
        shift.reduce((sum, value, d) => sum + value * weight[o * width + head * spec.headDim + d], 0),
      );
      const nodes: GraphNode[] = [{ id: 'out', edit: 'add', at: { point: 'attn_out', layer: middle }, vector: 'v', tokens: 'generated' }];
      const out = graphOf(spec, nodes, { v: { shape: [spec.hidden], data: carried } });
      const [a, b] = [
        await engine.score({ sequences, graph: oneHead(spec, middle, head, 1, 'generated'), logits: true }),
        await engine.score({ sequences, graph: out, logits: true }),
      ];
      sequences.forEach((_, s) =>
        expectClose(
          logitsOf(a.sequences[s]),
          logitsOf(b.sequences[s]),
          { abs: file.tolerances.logits_abs + order },
          `logits of sequence ${s}`,
        ),
      );
    });

    if (!spec.sandwichNorm) {
      it('contributions add up to the residual stream', async () => {
        const points = (['resid_pre', 'attn_out', 'resid_mid', 'mlp_out', 'resid_post'] as const).map((point) => ({ point }));
        const { arrays } = await engine.capture({ sequences: [{ ids }], points });
        const get = (point: string, layer: number): Float32Array => {
          const found = arrays.find((array) => array.point === point && array.layer === layer);
          if (!found) throw new Error(`no ${point}`);
          return found.data;
        };
        for (let layer = 0; layer < spec.layers; layer++) {
          const sum = get('resid_pre', layer).map((x, i) => x + get('attn_out', layer)[i]);
          expectClose(get('resid_mid', layer), sum, { abs: 1e-5 }, `resid_mid of layer ${layer}`);
          const end = sum.map((x, i) => x + get('mlp_out', layer)[i]);
          expectClose(get('resid_post', layer), end, { abs: 1e-5 }, `resid_post of layer ${layer}`);
        }
      });
    }

    it('taking the last residual stream from the unedited lane undoes all that came before', async () => {
      const last = spec.layers - 1;
      const nodes: GraphNode[] = [
        { id: 'push', edit: 'add', at: { point: 'embed' }, vector: 'v', strength: 3, tokens: 'all' },
        {
          id: 'patch',
          edit: 'set',
          at: { point: 'resid_post', layer: last },
          vector: { from: { lane: 'as is', point: 'resid_post', layer: last, tokens: 'all' } },
          tokens: 'all',
        },
      ];
      const patched = graphOf(spec, nodes, { v: vector(1, spec.hidden) });
      const { sequences: scores } = await engine.score({ sequences, graph: patched });
      scores.forEach(({ logprobs, edited, edits }, s) => {
        expectClose(edited ?? [], logprobs, { abs: order }, `log-probabilities of sequence ${s}`);
        expect(edits).toEqual({ push: file.sequences[s].length, patch: file.sequences[s].length });
      });
      const { tokens, logprobs } = await run(engine, patched);
      expect(tokens[1]).toEqual(tokens[0]);
      expectClose(logprobs[1], logprobs[0], { abs: order }, 'generated log-probabilities');
    });

    it('a vector taken from an earlier place of another lane is the captured one', async () => {
      const from = { lane: 0, point: 'z' as const, layer: 0, head: 1, tokens: { at: [1] } };
      const nodes: GraphNode[] = [
        { id: 'patch', edit: 'add', at: { point: 'z', layer: middle, head: 0 }, vector: { from }, tokens: { from: 0 } },
      ];
      const { arrays } = await engine.capture({ sequences: [{ ids }], points: [{ point: 'z', layers: [0] }], at: { at: [1] } });
      const row = arrays[0].data.slice(spec.headDim, 2 * spec.headDim);
      const fixed: GraphNode[] = [
        { id: 'patch', edit: 'add', at: { point: 'z', layer: middle, head: 0 }, vector: 'v', tokens: { from: 1 } },
      ];
      const [a, b] = [
        await engine.score({ sequences: [{ ids }], graph: graphOf(spec, nodes), logits: true }),
        await engine.score({
          sequences: [{ ids }],
          graph: graphOf(spec, fixed, { v: { shape: [spec.headDim], data: row } }),
          logits: true,
        }),
      ];
      expectClose(logitsOf(a.sequences[0]), logitsOf(b.sequences[0]), { abs: Math.max(order, 1e-5) }, 'logits');
      // Before the source's token there is nothing to take.
      expect(a.sequences[0].edits).toEqual({ patch: ids.length - 1 });
    });
  });

  describe('a request leaves nothing behind', () => {
    it('A, B, A: the second A equals the first', async () => {
      const first = await run(engine, graph);
      const between = await run(engine, oneHead(spec, 0, 0, 4));
      const second = await run(engine, graph);
      expectSame(second, 0, first, 0, 'lane 0');
      expectSame(second, 1, first, 1, 'lane 1');
      expect(between.logprobs[1]).not.toEqual(first.logprobs[1]);
    });

    it('never serves cached state of another graph, in any order', async () => {
      const graphs = [
        null,
        graph,
        oneHead(spec, 0, 0, 4),
        oneHead(spec, 0, 0, 4, 'all', 8),
        oneHead(spec, 0, 0, -4),
        oneHead(spec, 0, 0, 4, { ids: [prompt[1]] }),
        oneHead(spec, 0, 0, 4, 'prompt'),
        oneHead(spec, 0, 0, 4, 'last'),
        oneHead(spec, spec.layers - 1, 1, 4),
      ];
      const fresh: Generated[] = [];
      for (const one of graphs) {
        const alone = await oracle.open(spec, source);
        fresh.push(await run(alone, one, one ? [full] : undefined, 3));
        await alone.dispose();
      }
      for (const order of [
        [0, 1, 2, 3, 4, 5, 6, 7, 8],
        [8, 7, 6, 5, 4, 3, 2, 1, 0],
      ]) {
        for (const at of order) {
          const again = await run(engine, graphs[at], graphs[at] ? [full] : undefined, 3);
          expectSame(again, 0, fresh[at], 0, `graph ${at} in the order ${order.join(' ')}`, apart);
          expect(again.summary.edits, `graph ${at}`).toEqual(fresh[at].summary.edits);
        }
      }
    });

    it('never serves cached state of another prompt', async () => {
      const longer = [...prompt, 1, 2];
      const other = [...prompt.slice(0, -1), (prompt[prompt.length - 1] + 1) % spec.vocab];
      const ask = (on: Engine, of: readonly number[]): Promise<Generated> => generated(on, { prompt: of, graph, maxTokens: 3, stop: [] });
      for (const one of [other, longer, prompt]) {
        const alone = await oracle.open(spec, source);
        const want = await ask(alone, one);
        await alone.dispose();
        await ask(engine, prompt);
        const got = await ask(engine, one);
        expectSame(got, 0, want, 0, 'lane 0', apart);
        expectSame(got, 1, want, 1, 'lane 1', apart);
      }
    });
  });

  describe('counts and reports', () => {
    it('counts every row that an edit was applied to', async () => {
      const maxTokens = 4;
      const fed = prompt.length + maxTokens - 1;
      const at = { point: 'z', layer: middle, head: 0 } as const;
      const common = { edit: 'add', at, vector: 'v' } as const;
      const nodes: GraphNode[] = [
        { ...common, id: 'all', tokens: 'all' },
        { ...common, id: 'prompt', tokens: 'prompt' },
        { ...common, id: 'last', tokens: 'last' },
        { ...common, id: 'generated', tokens: 'generated' },
        { ...common, id: 'answer', tokens: 'answer' },
        { ...common, id: 'range', tokens: { from: 1, to: -2 } },
        { ...common, id: 'at', tokens: { at: [0, 2, 2, fed - 1, fed] } },
        { ...common, id: 'none', tokens: 'none' },
        { ...common, id: 'zero', strength: 0, tokens: 'all' },
        { id: 'embed', edit: 'scale', at: { point: 'embed' }, strength: 0.1, tokens: 'all' },
        { id: 'final', edit: 'scale', at: { point: 'final_norm' }, strength: 0.1, tokens: 'all' },
        { id: 'logits', edit: 'scale', at: { point: 'logits' }, strength: 0.1, tokens: 'all' },
      ];
      const counted = graphOf(spec, nodes, { v: vector(7, spec.headDim) });
      const { summary } = await run(engine, counted, [{ name: 'as is' }, full, { strengths: { all: 1 } }], maxTokens);
      const p = prompt.length;
      const idle = Object.fromEntries(nodes.map(({ id }) => [id, 0]));
      expect(summary.edits).toEqual([
        idle,
        {
          ...idle,
          all: fed,
          prompt: p,
          last: 1,
          generated: maxTokens,
          answer: maxTokens - 1,
          range: p - 3,
          at: 3,
          embed: fed,
          final: fed,
          logits: fed,
        },
        { ...idle, all: fed },
      ]);
      // Told apart: 'none' was on and matched nothing, 'zero' was off.
      expect(summary.unmatched).toEqual(['none']);
      expect(summary.stopped).toBe('length');
    });

    it('does not count what comes after a lane has ended', async () => {
      const steer = oneHead(spec, middle, 0, 4);
      const free = await run(engine, steer, [{ name: 'as is' }, full], 8);
      const stop = free.tokens[1][2];
      const length = (lane: number): number => {
        const found = free.tokens[lane].indexOf(stop);
        return found < 0 ? 8 : found + 1;
      };
      const { tokens, summary } = await generated(engine, {
        prompt,
        graph: steer,
        lanes: [{ name: 'as is' }, full],
        maxTokens: 8,
        stop: [stop],
      });
      expect(tokens).toEqual([free.tokens[0].slice(0, length(0)), free.tokens[1].slice(0, length(1))]);
      expect(summary.edits[1]).toEqual({ head: prompt.length + length(1) - 1 });
      expect(summary.stopped).toBe(length(0) < 8 || free.tokens[0][7] === stop ? 'stop' : 'length');
    });

    it('reports a gate that never opened', async () => {
      const nodes: GraphNode[] = [
        { id: 'r', read: 'norm', at: { point: 'embed' }, tokens: 'all' },
        { id: 'shut', edit: 'scale', at: { point: 'z', layer: 0 }, strength: 1, tokens: 'all', when: { read: 'r', below: 0 } },
        { id: 'open', edit: 'scale', at: { point: 'z', layer: 0 }, strength: 1, tokens: 'all', when: { read: 'r', above: 0 } },
        { id: 'blind', read: 'norm', at: { point: 'embed' }, tokens: 'none' },
        { id: 'unread', edit: 'scale', at: { point: 'z', layer: 0 }, strength: 1, tokens: 'all', when: { read: 'blind', above: -1 } },
      ];
      const gated = graphOf(spec, nodes);
      const { summary } = await run(engine, gated);
      expect(summary.unmatched).toEqual(['shut', 'unread']);
      expect(summary.edits[1]).toEqual({ shut: 0, open: prompt.length + TOKENS - 1, unread: 0 });
      const scores = await engine.score({ sequences, graph: gated });
      expect(scores.unmatched).toEqual(['shut', 'unread']);
      const captured = await engine.capture({ sequences, points: [{ point: 'z', layers: [0] }], at: 'last', graph: gated });
      expect(captured.unmatched).toEqual(['shut', 'unread']);
      expect(captured.edits.map((edits) => edits.open)).toEqual(file.sequences.map((s) => s.length));
      expect(captured.arrays.map((array) => array.positions)).toEqual(file.prompt_lens.map((length) => [length - 1]));
    });

    it('gives divergences that are zero where nothing was changed yet and not below zero', async () => {
      const { sequences: scores } = await engine.score({ sequences, graph: oneHead(spec, middle, 0, 4, 'answer'), top: 3 });
      scores.forEach(({ kl, edited, logprobs, top }, s) => {
        const p = file.prompt_lens[s];
        expect([...(kl ?? [])].every((value) => value >= 0)).toBe(true);
        expectClose(
          kl?.subarray(0, p) ?? [],
          new Float32Array(Math.min(p, ids.length - 1, (kl ?? []).length)),
          { abs: order },
          'kl in the prompt',
        );
        expectClose(edited?.subarray(0, p) ?? [], logprobs.subarray(0, p), { abs: order }, 'log-probabilities in the prompt');
        if (p < file.sequences[s].length - 1) expect(Math.max(...(kl?.subarray(p) ?? []))).toBeGreaterThan(1e-4);
        expect(top?.unedited.length).toBe(file.sequences[s].length);
        for (const tokens of top?.unedited ?? []) {
          expect(tokens.length).toBe(3);
          expect(tokens[0].logprob).toBeGreaterThanOrEqual(tokens[1].logprob);
          expect(tokens[1].logprob).toBeGreaterThanOrEqual(tokens[2].logprob);
        }
      });
    });
  });
}

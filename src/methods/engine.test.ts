import { describe, expect, it } from 'vitest';
import { loadGoldenModel } from '../../test/conformance/golden.ts';
import { context, memoryTable } from '../../test/methods/planted.ts';
import type { Engine } from '../engine/engine.ts';
import { createReferenceEngine } from '../engine/reference/index.ts';
import type { CaptureTable } from '../captures/table.ts';
import type { EditNode, Lane } from '../graph/document.ts';
import type { PointName } from '../graph/points.ts';
import { ablation } from './ablation.ts';
import { cap } from './bounds.ts';
import { cast } from './cast.ts';
import { iti } from './iti.ts';
import { laneStrengths } from './lane.ts';
import type { FitData, Fitted, FitRow } from './method.ts';
import { patchingGraph } from './patching.ts';
import { sadi } from './sadi.ts';

/** Methods on a real forward pass: what a fitted graph does to the activations is what the method promises. */

const { spec, source } = loadGoldenModel('llama_gqa_tied');
const open = (): Promise<Engine> => createReferenceEngine(spec, source, { now: () => 0 });

/** Pairs of token sequences that differ in the last tokens. */
const sequences = Array.from({ length: 16 }, (_, i) => {
  const ids = Array.from({ length: 6 }, (_, t) => 3 + ((37 * (i >> 1) + 11 * t) % 150));
  return { ids: [...ids, i % 2 === 0 ? 20 + (i % 5) : 90 + (i % 7)] };
});
const rows = sequences.map((_, i): FitRow => ({
  label: i % 2 === 0 ? 1 : 0,
  group: `${i >> 1}`,
  pair: i >> 1,
  part: i < 12 ? 'train' : 'validation',
}));

async function capture(engine: Engine, points: readonly PointName[]): Promise<FitData> {
  const { arrays } = await engine.capture({ sequences, points: points.map((point) => ({ point })), at: 'last' });
  const tables: Partial<Record<PointName, CaptureTable>> = {};
  for (const point of points) {
    const layers = Array.from({ length: engine.model.layers }, (_, layer) => {
      const found = arrays.filter((array) => array.point === point && array.layer === layer).sort((a, b) => a.sequence - b.sequence);
      const out = new Float32Array(found.length * found[0].width);
      found.forEach(({ data }, row) => out.set(data, row * found[0].width));
      return out;
    });
    tables[point] = memoryTable(point, layers[0].length / sequences.length, layers);
  }
  return { shape: modelShape(engine), rows, tables };
}

const modelShape = ({ model }: Engine): FitData['shape'] => {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate } = model;
  return { family, layers, heads, kvHeads, headDim, hidden, intermediate };
};

const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);

/** Rows of one point by layer, of one sequence: unedited, or under the graph at factor 1 on every edit. */
async function valuesOf(engine: Engine, ids: readonly number[], point: PointName, fit: Fitted | null): Promise<Float32Array[]> {
  const { arrays } = await engine.capture({ sequences: [{ ids }], points: [{ point }], ...(fit ? { graph: fit.graph } : {}) });
  return [...arrays].sort((a, b) => a.layer - b.layer).map(({ data }) => data);
}

const ids = [5, 80, 33, 12, 99, 41];

describe('fitted graphs on a model', () => {
  it('SADI, frozen, puts every layer to the clean values at the last prompt token, selected heads multiplied', async () => {
    const engine = await open();
    const fit = await sadi.fit(await capture(engine, ['z']), { propagation: 'frozen', count: 4, hold: 4, delta: 2 }, context());
    const [clean, edited] = [await valuesOf(engine, ids, 'z', null), await valuesOf(engine, ids, 'z', fit)];
    const { headDim } = engine.model;
    const width = engine.model.heads * headDim;
    const selected = new Set(edits(fit).flatMap(({ edit, at }) => (edit === 'scale' ? [`${at.layer}.${at.head}`] : [])));
    expect(selected.size).toBe(4);
    clean.forEach((values, layer) => {
      for (let i = 0; i < width; i++) {
        const at = (ids.length - 1) * width + i;
        const factor = selected.has(`${layer}.${Math.floor(i / headDim)}`) ? 3 : 1;
        expect(edited[layer][at]).toBeCloseTo(factor * values[at], 5);
      }
    });
    const live = await sadi.fit(await capture(engine, ['z']), { count: 4, hold: 4, delta: 2 }, context());
    const flowing = await valuesOf(engine, ids, 'z', live);
    const last = engine.model.layers - 1;
    // Live, what lower layers changed reaches the top one.
    expect(flowing[last].some((value, i) => Math.abs(value - edited[last][i]) > 1e-4)).toBe(true);
    await engine.dispose();
  });

  it('ITI moves each chosen head by alpha sigma along its direction, from the last prompt token on', async () => {
    const engine = await open();
    const fit = await iti.fit(await capture(engine, ['z']), { heads: 1, hold: 1, alpha: 3 }, context());
    const [node] = edits(fit);
    const [layer, head] = [node.at.layer ?? 0, node.at.head ?? 0];
    const [clean, edited] = [await valuesOf(engine, ids, 'z', null), await valuesOf(engine, ids, 'z', fit)];
    const { headDim, heads } = engine.model;
    const theta = fit.graph.vectors['direction'].data;
    clean[layer].forEach((value, i) => {
      const [position, column] = [Math.floor(i / (heads * headDim)), i % (heads * headDim)];
      const moved = position === ids.length - 1 && Math.floor(column / headDim) === head;
      expect(edited[layer][i] - value).toBeCloseTo(moved ? (node.strength ?? 0) * theta[column % headDim] : 0, 4);
    });
    await engine.dispose();
  });

  it('an ablated candidate leaves nothing of its direction in what is written to the residual stream', async () => {
    const engine = await open();
    const fit = await ablation.fit(await capture(engine, ['resid_pre']), { candidates: 1, depth: 1 }, context());
    const direction = fit.graph.vectors['direction'].data;
    const { hidden } = engine.model;
    for (const point of ['resid_pre', 'attn_out', 'mlp_out', 'resid_post'] as const) {
      for (const values of await valuesOf(engine, ids, point, fit))
        for (let t = 0; t < ids.length; t++) {
          const along = direction.reduce((sum, value, i) => sum + value * values[t * hidden + i], 0);
          expect(Math.abs(along)).toBeLessThan(1e-5);
        }
    }
    await engine.dispose();
  });

  it('a cap lets no selected token go further than its bound', async () => {
    const engine = await open();
    const fit = await cap.fit(await capture(engine, ['resid_post']), { layer: 1, quantile: 0, tokens: 'all' }, context());
    const [node] = edits(fit);
    const direction = fit.graph.vectors['direction'].data;
    const values = (await valuesOf(engine, ids, 'resid_post', fit))[1];
    for (let t = 0; t < ids.length; t++) {
      const along = direction.reduce((sum, value, i) => sum + value * values[t * engine.model.hidden + i], 0);
      expect(along).toBeLessThanOrEqual((node.strength ?? 0) + 1e-4);
    }
    await engine.dispose();
  });

  it('CAST acts on the texts that its gate was fitted to let through, and on no others', async () => {
    const engine = await open();
    const fit = await cast.fit(await capture(engine, ['resid_post']), {}, context());
    const { edits: counts } = await engine.capture({ sequences, points: [{ point: 'resid_post' }], at: 'last', graph: fit.graph });
    const acted = counts.map((byNode) => Object.values(byNode).some((count) => count > 0));
    const right = acted.filter((value, i) => value === (rows[i].label === 1)).length;
    const f1 = (2 * acted.filter((value, i) => value && rows[i].label === 1).length) / (acted.filter(Boolean).length + 8);
    expect(f1).toBeCloseTo(Number(fit.report.numbers['f1']), 6);
    expect(right).toBeGreaterThan(8);
    await engine.dispose();
  });

  it('patching acts at the heads and positions of its lane, and nowhere in a lane without strengths', async () => {
    const engine = await open();
    const corrupted = [5, 80, 7, 12, 99, 41];
    const clean = await engine.capture({ sequences: [{ ids }], points: [{ point: 'z' }] });
    const layers = [...clean.arrays].sort((a, b) => a.layer - b.layer).map(({ data }) => data);
    const { graph, lanes } = patchingGraph(modelShape(engine), { point: 'z', positions: ids.map((_, i) => i), layers });
    const named = (layer: number): Lane => ({
      strengths: Object.assign(
        {},
        ...lanes.filter(({ name }) => name?.startsWith(`h${layer}.`)).map(({ strengths }) => strengths),
      ) as Record<string, number>,
    });
    const {
      sequences: [score],
    } = await engine.score({ sequences: [{ ids: corrupted }], graph, lanes: [named(0), { strengths: {} }] });
    expect(score.lanes[1].logprobs).toEqual(score.logprobs);
    expect(score.lanes[0].logprobs).not.toEqual(score.logprobs);
    expect(Object.values(score.lanes[0].edits).reduce((sum, count) => sum + count, 0)).toBe(ids.length * engine.model.heads);
    await engine.dispose();
  });

  it('a fitted lane of strength 0 is the unedited model, bit for bit', async () => {
    const engine = await open();
    const fit = await sadi.fit(await capture(engine, ['z']), { propagation: 'frozen' }, context());
    const {
      sequences: [score],
    } = await engine.score({
      sequences: [{ ids }],
      graph: fit.graph,
      lanes: [{ strengths: laneStrengths(fit, 0) }, { strengths: laneStrengths(fit, 1) }],
    });
    expect(score.lanes[0].logprobs).toEqual(score.logprobs);
    await engine.dispose();
  });
});

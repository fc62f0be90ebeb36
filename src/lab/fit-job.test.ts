import { describe, expect, it } from 'vitest';
import { base64 } from '../formats/base64.ts';
import { writeGraph } from '../graph/vectors.ts';
import type { FitResult } from '../jobs/job-result.ts';
import { setHeads } from './heads.ts';
import { answerOfJob, fitJob, strangersFit } from './fit-job.ts';
import { defaultRecipe } from '../fit/recipe.ts';

const shape = { family: 'llama', layers: 2, heads: 2, kvHeads: 2, headDim: 600, hidden: 1200, intermediate: 8 };
const graph = setHeads(
  null,
  shape,
  {
    recipe: { kind: 'random', seed: 1 },
    layers: 2,
    heads: 2,
    headDim: 600,
    data: Float32Array.from({ length: 2400 }, (_, i) => i / 7),
    relevance: new Float32Array(4),
    note: '',
  },
  'all',
  [0, 1].map((head) => ({ layer: 1, head, strength: 1 })),
);
if (!graph) throw new Error('no graph');

const written = writeGraph(graph);
const sent = { json: written.json, safetensors: written.safetensors && base64(written.safetensors) };

describe('a fit as a job', () => {
  it('carries the examples without their name for themselves, and one seed', () => {
    const set = { name: 'n', kind: 'labelled' as const, classes: ['a', 'b'] as const, rows: [], problems: [], sha256: 'x' };
    expect(fitJob('m', set, defaultRecipe)).toMatchObject({ tiller: 1, kind: 'fit', model: 'm', seeds: 1, recipe: defaultRecipe });
    expect(fitJob('m', set, defaultRecipe).examples).not.toHaveProperty('sha256');
  });

  it('comes back with the same graphs, bit for bit', () => {
    const report = { receipt: { data: { examples: 'e' }, model: { identity: 'w' } }, recipe: defaultRecipe } as never;
    const result = {
      kind: 'fit',
      engine: {},
      graph: sent,
      fitted: { graph: sent, ranking: [['h1.0']], chosen: 1 },
      data: 'e',
      reports: [report],
    } as FitResult;
    const answer = answerOfJob(result);
    expect(answer.graph.document.nodes).toEqual(graph.document.nodes);
    expect(answer.fitted.graph.vectors).toEqual(graph.vectors);
    expect(answer.fitted).toMatchObject({ ranking: [['h1.0']], chosen: 1 });
    expect(strangersFit(answer, { model: 'm' }, 'http://h:1')).toMatchObject({
      identity: 'w',
      modelLabel: 'm on h:1',
      set: { sha256: 'e' },
    });
  });
});

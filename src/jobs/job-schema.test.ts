import { describe, expect, it } from 'vitest';
import { buildGraph } from '../graph/vectors.ts';
import { graphHash } from '../graph/hash.ts';
import { defaultRecipe } from '../fit/recipe.ts';
import { boundJobGraph, jobGraph, neededTensors, tensorBytes } from './job-graph.ts';
import { jobId } from './job-identity.ts';
import { parseSubmission } from './job-schema.ts';
import type { FitJob, JobDocument } from './job.ts';

const examples = {
  name: 'two.csv',
  kind: 'labelled',
  classes: ['sad', 'happy'],
  rows: [
    { kind: 'labelled', line: 2, group: 'a', text: 'A', label: 1 },
    { kind: 'labelled', line: 3, group: 'b', text: 'B', label: 0 },
  ],
  problems: [],
} as const;
const fit: FitJob = { tiller: 1, kind: 'fit', model: 'm', examples, recipe: defaultRecipe, seeds: 1 };
const width = 2000;
const bound = buildGraph({
  model: { family: 'llama', layers: 2, heads: 2, kvHeads: 2, headDim: 1000, hidden: width, intermediate: 8 },
  vectors: { v: { shape: [width], data: Float32Array.from({ length: width }, (_, i) => Math.sin(i)) } },
  nodes: [{ id: 'n', edit: 'add', at: { point: 'resid_post', layer: 1 }, tokens: 'all', vector: 'v', strength: 2 }],
});
const { graph, tensors } = jobGraph(bound);
const evaluate: JobDocument = {
  ...{ tiller: 1, kind: 'evaluate', model: 'm', graph, factors: [0, 1], seed: 0 },
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 64 },
};
const sent = (job: unknown): unknown => JSON.parse(JSON.stringify({ job }));

describe('a job', () => {
  it('comes through JSON as it was, with the same identity', () => {
    for (const job of [fit, evaluate]) {
      const back = parseSubmission(sent(job)).job;
      expect(back).toEqual(JSON.parse(JSON.stringify(job)));
      expect(jobId(back, 'w')).toBe(jobId(job, 'w'));
    }
  });

  it('is another one with other weights, another seed, another model', () => {
    const ids = [
      jobId(fit, 'a'),
      jobId(fit, 'b'),
      jobId(fit, null),
      jobId({ ...fit, model: 'n' }, 'a'),
      jobId({ ...fit, recipe: { ...fit.recipe, seed: 1 } }, 'a'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('does not depend on the order of keys', () => {
    const turned = Object.fromEntries(Object.entries(fit).reverse()) as unknown as FitJob;
    expect(jobId(turned, null)).toBe(jobId(fit, null));
  });

  it.each([
    ['an unknown key', { ...fit, speed: 2 }, 'job.speed'],
    ['an unknown kind', { ...fit, kind: 'train' }, 'job.kind'],
    ['another format', { ...fit, tiller: 2 }, 'job.tiller'],
    ['a seed that is none', { ...fit, recipe: { ...fit.recipe, seed: -1 } }, 'job.recipe.seed'],
    ['a sweep without one', { ...fit, kind: 'sweep', graph, seeds: undefined, recipe: { ...fit.recipe, sweep: null } }, 'job.recipe'],
    ['rows of another kind', { ...fit, examples: { ...examples, kind: 'pairs' } }, 'job.examples'],
    ['factors without a graph', { ...evaluate, graph: null }, 'job'],
  ])('with %s is refused with its place', (_, job, path) => {
    expect(() => parseSubmission(sent(job))).toThrow(
      expect.objectContaining({ code: 'jobs/invalid', details: expect.objectContaining({ path }) as unknown }),
    );
  });

  it('with a graph that is none is refused by its schema', () => {
    expect(() => parseSubmission(sent({ ...evaluate, graph: { ...graph, nodes: [{}] } }))).toThrow(
      expect.objectContaining({ code: 'graph/invalid' }),
    );
  });
});

describe('vectors of a job', () => {
  it('travel by hash and make the same graph', () => {
    expect(neededTensors(evaluate)).toEqual(Object.keys(tensors));
    const bytes = new Map(Object.entries(tensors).map(([hash, text]) => [hash, tensorBytes(hash, text)]));
    const back = boundJobGraph(graph, bytes);
    expect(graphHash(back.document)).toBe(graphHash(bound.document));
    expect(back.vectors.v.data).toEqual(bound.vectors.v.data);
  });

  it('are refused under a wrong hash', () => {
    const [text] = Object.values(tensors);
    expect(() => tensorBytes('0'.repeat(64), text)).toThrow(expect.objectContaining({ code: 'jobs/tensor' }));
    expect(() => tensorBytes('0'.repeat(64), '*')).toThrow(expect.objectContaining({ code: 'jobs/tensor' }));
  });
});

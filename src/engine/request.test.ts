import { describe, expect, it } from 'vitest';
import type { BoundGraph, Lane } from '../graph/document.ts';
import type { GenerateRequest, ModelInfo, ScoreRequest } from './engine.ts';
import { capturePlaces, factorLanes, normalizeGenerate, normalizeLanes, normalizeScore, normalizeSequences } from './request.ts';

const model: Pick<ModelInfo, 'vocab' | 'limits' | 'eosIds' | 'points' | 'layers'> = {
  vocab: 10,
  limits: { maxContext: 8, maxLanes: 3 },
  eosIds: [2],
  layers: 2,
  points: [
    { point: 'z', width: 4 },
    { point: 'embed', width: 6 },
  ],
};
const graph: BoundGraph = {
  document: { tiller: 1, model: { family: 'llama', layers: 2, heads: 2, kvHeads: 2, headDim: 2, hidden: 4, intermediate: 4 }, nodes: [] },
  vectors: {},
};
const generate = (request: Partial<GenerateRequest>): ReturnType<typeof normalizeGenerate> =>
  normalizeGenerate({ prompt: [1], maxTokens: 2, ...request }, model);

describe('requests', () => {
  it('fill in what was not said', () => {
    expect(generate({})).toEqual({
      prompt: [1],
      roles: [],
      graph: null,
      lanes: [{ name: 'as is', strengths: {}, seed: 0 }],
      maxTokens: 2,
      stop: new Set([2]),
      temperature: 0,
      topK: 0,
      topP: 1,
    });
  });

  it('take prompt and new tokens up to the context, and not one more', () => {
    expect(generate({ prompt: [1, 1, 1, 1, 1, 1], maxTokens: 2 }).prompt.length).toBe(6);
    expect(() => generate({ prompt: [1, 1, 1, 1, 1, 1], maxTokens: 3 })).toThrow('9 tokens, the model takes 8');
    expect(normalizeSequences([{ ids: [1, 1, 1, 1, 1, 1, 1, 1] }], model)[0].promptLength).toBe(8);
    expect(() => normalizeSequences([{ ids: new Array<number>(9).fill(1) }], model)).toThrow('too long');
  });

  it('name lanes and give them the seed of the request', () => {
    const lanes: Lane[] = [{}, { strengths: { '*': 1 }, seed: 7 }, { name: 'x', strengths: {} }];
    expect(normalizeLanes(lanes, 5, 3)).toEqual([
      { name: 'as is', strengths: {}, seed: 5 },
      { name: 'lane 1', strengths: { '*': 1 }, seed: 7 },
      { name: 'x', strengths: {}, seed: 5 },
    ]);
    expect(() => normalizeLanes([...lanes, {}], 5, 3)).toThrow('4 lanes, at most 3');
    expect(() => normalizeLanes([{ seed: -1 }], 5, 3)).toThrow('the seed of lane 0');
  });

  it('say which argument is wrong', () => {
    expect(() => generate({ prompt: [1, 10] })).toThrow('token 1, must be a whole number from 0 to 9, got 10');
    expect(() => generate({ prompt: [1], roles: ['user', 'user'] })).toThrow('1 tokens but 2 roles');
    expect(() => generate({ roles: ['nobody' as 'user'] })).toThrow('unknown role "nobody"');
    expect(() => generate({ sampling: { topP: 1.5 } })).toThrow('topP');
    expect(() => generate({ sampling: { topK: -1 } })).toThrow('topK');
    expect(() => generate({ stop: [0.5] })).toThrow('stop token');
    expect(() => factorLanes(Number.POSITIVE_INFINITY)).toThrow('factor');
    expect(() => normalizeScore({ sequences: [], top: 11 }, model, 10)).toThrow('top must be a whole number from 0 to 10');
    expect(() => normalizeSequences([{ ids: [1], promptLength: 0 }], model)).toThrow('promptLength of sequence 0');
  });

  it('mean all layers where none are named, and refuse places twice', () => {
    expect(capturePlaces([{ point: 'embed' }, { point: 'z' }], model)).toEqual([
      { point: 'embed', layer: -1, width: 6 },
      { point: 'z', layer: 0, width: 4 },
      { point: 'z', layer: 1, width: 4 },
    ]);
    expect(() => capturePlaces([{ point: 'z' }, { point: 'z', layers: [1] }], model)).toThrow('asked for twice');
    expect(() => capturePlaces([{ point: 'embed', layers: [0] }], model)).toThrow('has no layers');
    expect(() => capturePlaces([{ point: 'logits' }], model)).toThrow('no point "logits"');
  });

  it('score every token but the first, or the answer, and look at no more rows than that takes', () => {
    const sequences = [
      { ids: [1, 2, 3, 4], promptLength: 2 },
      { ids: [1, 2], promptLength: 2 },
    ];
    const of = (more: Partial<ScoreRequest>): unknown => {
      const { from, looked, kl, lanes } = normalizeScore({ sequences, ...more }, model, 10);
      return { from, looked: looked.map(({ first, end }) => [first, end]), kl, lanes: lanes.length };
    };
    expect(of({})).toEqual({
      from: [1, 1],
      looked: [
        [0, 3],
        [0, 1],
      ],
      kl: false,
      lanes: 1,
    });
    expect(of({ positions: 'answer' })).toEqual({
      from: [2, 2],
      looked: [
        [1, 3],
        [1, 1],
      ],
      kl: false,
      lanes: 1,
    });
    expect(of({ positions: 'answer', top: 1, graph })).toEqual({
      from: [2, 2],
      looked: [
        [1, 4],
        [1, 2],
      ],
      kl: true,
      lanes: 2,
    });
    expect(of({ positions: 'answer', logits: true, graph, kl: false, lanes: [{}, {}] })).toEqual({
      from: [2, 2],
      looked: [
        [0, 4],
        [0, 2],
      ],
      kl: false,
      lanes: 3,
    });
  });

  it('put the unedited condition before those asked for, under a name of its own', () => {
    const names = (lanes: readonly Lane[]): (string | undefined)[] =>
      normalizeScore({ sequences: [], graph, lanes }, model, 10).lanes.map((lane) => lane.name);
    expect(names([{ strengths: { '*': 1 } }, { name: 'x' }])).toEqual(['as is', 'lane 1', 'x']);
    expect(names([{ name: 'as is' }])).toEqual(['unedited', 'as is']);
  });
});

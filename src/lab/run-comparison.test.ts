import { describe, expect, it } from 'vitest';
import { compareRuns, comparisonTable, placeOfRun, ranElsewhere, type ReceiptedRun } from './run-comparison.ts';

interface Made {
  label?: string;
  identity?: string;
  place?: ReceiptedRun['receipt']['model']['place'];
  seed?: number;
  prompt?: string;
  graph?: string | null;
  ids?: readonly (readonly number[])[];
}

function runOf({
  label = 'small',
  identity = 'w1',
  place = { kind: 'embedded', name: 'small' },
  seed = 1,
  prompt = 'Once',
  graph = 'g1',
  ids = [
    [1, 2, 3],
    [1, 5],
  ],
}: Made): ReceiptedRun {
  const timing = { promptTokens: 1, reusedTokens: 0, prefillMs: 1, decodeMs: 500, decodedTokens: 50, dispatches: 0, submits: 0 };
  const summary = { edits: [{}, {}], unmatched: [], stopped: 'length' as const, timing };
  const sampling = { temperature: 0, topK: 0, topP: 1, seed };
  return {
    state: 'done',
    input: { mode: 'text', prompt, system: '' },
    prompt: [{ id: 9, text: prompt, role: null }],
    lanes: ids.map((lane, i) => ({
      factor: i,
      tokens: lane.map((id, t) => ({
        id,
        text: ` ${id}`,
        logprob: -1,
        shift: i === 0 ? null : { kl: t, before: [], after: [] },
      })),
    })),
    summary,
    receipt: {
      tiller: '0',
      made: '2026-01-01',
      model: { label, place, identity, family: 'llama', quantization: 'q8', precision: 'f32' },
      engine: { name: 'onnx', adapter: 'cpu', kind: 'cpu', subgroups: false },
      graph: graph === null ? null : { sha256: graph, factors: [0, 1] },
      sampling,
      maxTokens: 8,
      prompt: [9],
      lanes: [],
      edits: summary.edits,
      unmatched: [],
      stopped: 'length',
      timing,
    },
  };
}

const runner = { kind: 'runner', address: 'http://127.0.0.1:4600', name: 'big' } as const;

describe('two runs side by side', () => {
  it('tell texts, first differences, KL and speed of each', () => {
    const { sides, same, notes } = compareRuns(runOf({}), runOf({ label: 'big', identity: 'w2', graph: 'g2' }));
    expect(same).toBe(true);
    expect(notes.join(' ')).toContain('a graph of its own');
    expect(sides[0].lanes.map(({ firstDifference }) => firstDifference)).toEqual([null, 1]);
    expect(sides[0].lanes[1]).toMatchObject({ text: ' 1 5', meanKl: 0.5, largestKl: 1, tokens: 2 });
    expect(sides[0].rate).toBe(100);
  });

  it('say that the same weights wrote the same, or from which token on they did not', () => {
    expect(compareRuns(runOf({}), runOf({ place: runner })).notes.join(' ')).toContain('so is every token');
    const other = runOf({ place: runner, ids: [[1, 2, 3], [1, 6]] }); // prettier-ignore
    expect(compareRuns(runOf({}), other).notes.join(' ')).toContain('steered ×1 differs from token 2 on');
  });

  it('say what was not the same', () => {
    expect(compareRuns(runOf({}), runOf({ prompt: 'Twice' })).notes).toContain('The prompts differ.');
    expect(compareRuns(runOf({}), runOf({ seed: 2 })).notes).toContain('The seeds differ.');
    expect(compareRuns(runOf({}), runOf({ identity: 'w2', graph: null })).notes.join(' ')).toContain('Only small was steered');
    expect(compareRuns(runOf({}), runOf({ prompt: 'Twice' })).same).toBe(false);
  });

  it('are of one model only where weights, place and engine agree', () => {
    expect(ranElsewhere(runOf({}).receipt, runOf({ seed: 3 }).receipt)).toBe(false);
    expect(ranElsewhere(runOf({}).receipt, runOf({ identity: 'w2' }).receipt)).toBe(true);
    expect(ranElsewhere(runOf({}).receipt, runOf({ place: runner }).receipt)).toBe(true);
  });

  it('become a table with a row for each model and text, and say where each was computed', () => {
    const table = comparisonTable(compareRuns(runOf({}), runOf({ label: 'big', place: runner })));
    expect(table.rows).toHaveLength(4);
    expect(table.rows[3]).toMatchObject({ model: 'big', lane: 'steered ×1', differs_from: 2, mean_kl: 0.5 });
    expect(placeOfRun(runOf({ place: runner }).receipt)).toBe('ONNX Runtime, cpu, int8 weights at http://127.0.0.1:4600');
  });
});

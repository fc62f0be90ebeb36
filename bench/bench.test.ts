import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { measurements } from './measurements.ts';
import { reportParts, withReport } from './report.ts';
import { readResults, slug, withRun, type Measured, type ResultFile, type Run } from './results.ts';
import { readShapes } from './shapes-result.ts';
import { interleave, perSecond, ratios, spread } from './spread.ts';

describe('spread', () => {
  it('gives the median and the quartiles, whatever the order', () => {
    expect(spread([5, 1, 3, 2, 4])).toEqual({ median: 3, low: 2, high: 4, count: 5 });
    expect(spread([10, 20])).toEqual({ median: 15, low: 12.5, high: 17.5, count: 2 });
    expect(spread([7])).toEqual({ median: 7, low: 7, high: 7, count: 1 });
    expect(() => spread([])).toThrow(RangeError);
  });

  it('compares round by round', () => {
    // The second round was ten times slower for both: the ratio does not see it.
    expect(ratios([3, 30, 3], [2, 20, 2])).toMatchObject({ median: 1.5, low: 1.5, high: 1.5 });
    expect(perSecond([10, 10], 3).median).toBe(300);
  });
});

describe('interleave', () => {
  it('runs every arm once a round, beginning with another each time, and does not count the first round', async () => {
    const order: string[] = [];
    const arm = (name: string) => async (round: number) => {
      order.push(name);
      return `${name}${round}`;
    };
    const samples = await interleave({ a: arm('a'), b: arm('b'), c: arm('c') }, 2);
    expect(order.join('')).toBe('abcbcacab');
    expect(samples).toEqual({ a: ['a1', 'a2'], b: ['b1', 'b2'], c: ['c1', 'c2'] });
  });
});

describe('result files', () => {
  const context: Measured['context'] = {
    date: '2026-01-01',
    versions: { tiller: '0', webgpu: '0', node: '0' },
    load: [0, 0],
    rounds: 1,
  };
  const run = (name: string, value: number): Run => ({ model: null, measurements: { [name]: { context, result: value } } });
  const file: ResultFile = {
    adapter: { name: 'A (1)', kind: 'software', features: [] },
    device: 'lavapipe',
    machine: { processor: 'p', cores: 2, memoryGiB: 8, system: 's' },
    runs: [],
  };

  it('keep what was not measured anew', () => {
    const merged = [run('x', 1), run('y', 2), run('x', 3)].reduce(withRun, file);
    expect(merged.runs).toHaveLength(1);
    expect(merged.runs[0].measurements.x.result).toBe(3);
    expect(merged.runs[0].measurements.y.result).toBe(2);
  });

  it('are named after the adapter', () => {
    expect(slug('llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)')).toBe('llvmpipe-mesa-25-0-7-llvm-15-0-6');
    expect(slug('../../etc')).toBe('etc');
  });
});

describe('docs/benchmarks.md', () => {
  const page = readFileSync(new URL('../docs/benchmarks.md', import.meta.url), 'utf8');

  it('has the stored results (else run `npm run bench -- --docs`)', () => {
    expect(page).toBe(withReport(page, reportParts(readResults(), readShapes())));
  });

  it('has a table of every measurement', () => {
    for (const { name } of measurements) expect(page).toContain(`<!-- made by bench/run.ts: ${name} -->`);
  });

  it('refuses a part that nothing measures', () => {
    expect(() => withReport('<!-- made by bench/run.ts: nothing -->\n<!-- end -->', {})).toThrow('nothing');
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addCounts, countPart, countPlaywright, countVitest } from './test-count.ts';

const folder = mkdtempSync(join(tmpdir(), 'tiller-count-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, value: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
};
const vitest = (...statuses: string[]) => ({
  testResults: [
    { name: 'a.test.ts', status: 'passed', assertionResults: statuses.map((status, i) => ({ fullName: `test ${i}`, status })) },
  ],
});

describe('the sum of the tests', () => {
  it('adds up passed, failed and skipped tests of vitest', () => {
    expect(countVitest(JSON.stringify(vitest('passed', 'failed', 'skipped', 'pending')))).toEqual({
      passed: 1,
      failed: 1,
      skipped: 2,
      reasons: ['test 2', 'test 3'],
    });
  });

  it('counts a file that fails before its tests are known', () => {
    const report = { testResults: [{ name: 'broken.test.ts', status: 'failed', assertionResults: [] }] };
    expect(countVitest(JSON.stringify(report)).failed).toBe(1);
  });

  it('counts a flaky browser test as failed and gives the reason of a skip', () => {
    const spec = (title: string, status: string, description?: string) => ({
      title,
      tests: [{ status, annotations: description === undefined ? [] : [{ type: 'skip', description }] }],
    });
    const suites = [
      { title: 'f', suites: [{ title: 'g', specs: [spec('a', 'expected'), spec('b', 'flaky'), spec('c', 'skipped', 'no GPU')] }] },
    ];
    expect(countPlaywright(JSON.stringify({ suites, errors: [] }))).toEqual({ passed: 1, failed: 1, skipped: 1, reasons: ['c: no GPU'] });
  });

  it('never lets a part that ended badly, or left no report, pass', () => {
    const good = file('good.json', vitest('passed'));
    expect(countPart(0, good, countVitest).failed).toBe(0);
    expect(countPart(139, good, countVitest).failed).toBe(1);
    expect(countPart(0, join(folder, 'none.json'), countVitest)).toEqual({ passed: 0, failed: 1, skipped: 0, reasons: [] });
    expect(countPart(1, null, countVitest).failed).toBe(1);
    expect(addCounts([countPart(0, null, countVitest), countPart(0, good, countVitest)]).passed).toBe(2);
  });
});

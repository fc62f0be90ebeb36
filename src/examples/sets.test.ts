import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedModel } from '../../scripts/embedded-model.ts';
import { seededRandom } from '../stats/random.ts';
import { createTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { preview } from './preview.ts';
import { readExamples } from './read-examples.ts';
import { readingsOf } from './readings.ts';
import { exampleSets } from './sets.ts';
import { checkLeak, splitExamples } from './split.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const folder = await embeddedModel();
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
});

describe.each(exampleSets)('the set $name', ({ file, kind, rows }) => {
  const bytes = new Uint8Array(readFileSync(new URL(`../../public/${file}`, import.meta.url)));

  it('is read whole, without repetition, balanced, and short enough for any model', async () => {
    const set = await readExamples({ name: file, bytes });
    expect(set.problems).toEqual([]);
    expect([set.kind, set.rows.length]).toEqual([kind, rows]);
    const readings = readingsOf(set, tokenizer, { template: 'none', token: 'answer-last', maxTokens: 256 });
    const view = preview(set, readings, tokenizer);
    expect([view.groups, view.cut, view.dropped, view.duplicates.count, view.conflicts.count]).toEqual([rows, [], [], 0, 0]);
    if (kind !== 'questions') expect(view.balance[0]).toBe(view.balance[1]);
    const parts = splitExamples(set, { kind: 'fractions', validation: 0.2, test: 0.2 }, seededRandom(0));
    checkLeak(set.rows, parts);
  });

  it('has the right side told apart by what it says, not by where or how long it is', async () => {
    const set = await readExamples({ name: file, bytes });
    const length = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0) / texts.length;
    const sides = set.rows.map((row): [string[], string[]] => {
      if (row.kind === 'labelled') return row.label === 1 ? [[row.text], []] : [[], [row.text]];
      if (row.kind === 'pairs') return [[row.positive], [row.negative]];
      if (row.kind === 'questions') return [[...row.right], [...row.wrong]];
      return row.kind === 'choices' ? [[row.matching], [row.notMatching]] : [[row.wanted], [row.unwanted]];
    });
    const ratio = length(sides.flatMap(([wanted]) => wanted)) / length(sides.flatMap(([, unwanted]) => unwanted));
    expect(ratio).toBeGreaterThan(0.6);
    expect(ratio).toBeLessThan(1.7);
    if (kind === 'choices') expect(sides.filter(([[wanted]]) => wanted === ' (A)')).toHaveLength(rows / 2);
  });
});

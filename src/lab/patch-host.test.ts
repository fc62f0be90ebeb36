import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../model/tokenizer.ts';
import { examplePatch, readPatchResult, readPatchSettings } from './patch-choice.ts';
import { viewPatch } from './patch-host.ts';
import { patchTable } from './patch-table.ts';

/** Letters as tokens. */
const letters = {
  vocabSize: 128,
  hasChatTemplate: false,
  encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0)),
  decode: (ids: readonly number[]) => String.fromCharCode(...ids),
  piece: (id: number) => String.fromCharCode(id),
  isControl: () => false,
  decodeStream: () => ({ push: (id: number) => String.fromCharCode(id), flush: () => '' }),
  chat: () => ({ ids: [], roles: [] }),
} satisfies Tokenizer;
const files = { tokenizer: letters };
const texts = { clean: 'he ate', corrupted: 'we ate', wanted: 'it', unwanted: 'us' };

describe('the view of two prompts', () => {
  it('has the tokens of all four texts, and the positions that are exchanged', () => {
    const view = viewPatch(files, { texts, positions: 'all' });
    expect(view.problem).toBeNull();
    expect(view.positions).toEqual([0, 1, 2, 3, 4, 5]);
    expect(view.clean.map(({ text }) => text).join('')).toBe('he ate');
    expect(view.wanted.map(({ text }) => text).join('')).toBe(' it');
    expect(viewPatch(files, { texts: { ...texts, corrupted: 'he ace' }, positions: 'all' }).positions).toEqual([4, 5]);
  });

  it('keeps the tokens where something is wrong, and says what', () => {
    const longer = viewPatch(files, { texts: { ...texts, corrupted: 'they ate' }, positions: 'all' });
    expect(longer.problem?.code).toBe('eval/prompt-lengths');
    expect([longer.clean.length, longer.corrupted.length, longer.positions.length]).toEqual([6, 8, 0]);
    const empty = viewPatch(files, { texts: { ...texts, wanted: '' }, positions: 'all' });
    expect(empty.problem?.code).toBe('eval/setting');
    expect(empty.clean).toHaveLength(6);
    expect(viewPatch(files, { texts, positions: [] }).problem?.code).toBe('eval/setting');
    expect(viewPatch(files, { texts: { ...texts, corrupted: texts.clean }, positions: 'all' }).problem?.code).toBe('eval/setting');
  });
});

describe('what the browser keeps of patching', () => {
  it('is taken up where it is whole, and left where it is not', () => {
    expect(readPatchSettings(JSON.parse(JSON.stringify(examplePatch)))).toEqual(examplePatch);
    expect(readPatchSettings({ ...examplePatch, positions: 'first' })).toBeNull();
    expect(readPatchSettings(null)).toBeNull();
    expect(readPatchResult({ version: 1 })).toBeNull();
    expect(readPatchResult('x')).toBeNull();
  });
});

describe('the table of patched heads', () => {
  it('says in a sentence what the map shows', () => {
    const places = [
      { layer: 4, head: 4, share: 0.917, difference: 6.68 },
      { layer: 5, head: 2, share: -0.12, difference: -10 },
    ];
    const table = patchTable('heads', [{ point: 'z', places }]);
    expect(table.caption).toBe(
      'layer 4, head 4 gives the most back: 0.92 of the difference. 1 of 2 heads give more than 0.1; the least is −0.12.',
    );
    expect(table.rows).toHaveLength(2);
    expect(patchTable('heads', []).caption).toBe('Nothing is measured yet.');
  });
});

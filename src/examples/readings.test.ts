import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedModel } from '../../scripts/embedded-model.ts';
import { createTokenizer, type Tokenizer } from '../model/tokenizer.ts';
import { byteLevelTokenizer } from './fixture-tokenizer.ts';
import { preview } from './preview.ts';
import { readExamples } from './read-examples.ts';
import { readingsOf, type ReadingOptions } from './readings.ts';
import { spreadReadingsOf } from './spread.ts';
import { spanFrom } from './token-spans.ts';

let llama: Tokenizer;
const bytes = byteLevelTokenizer();
beforeAll(async () => {
  const folder = await embeddedModel();
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  llama = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
});

const plain: ReadingOptions = { template: 'none', token: 'last', maxTokens: 256 };
const chat: ReadingOptions = { ...plain, template: 'chat' };
const text = (tokenizer: Tokenizer, ids: readonly number[]): string => tokenizer.decode(ids);
const questions = (): ReturnType<typeof readExamples> =>
  readExamples({
    name: 'q.jsonl',
    text: [
      '{"question":"Is ice cold?","right":["Yes, it is.","It is."],"wrong":["No."]}',
      '{"question":"Do fish swim?","right":["They do."],"wrong":["Never.","Only on Mondays."]}',
    ].join('\n'),
  });

describe.each([
  ['sentencepiece', () => llama],
  ['byte-level', () => bytes],
])('answers among the tokens of a %s tokenizer', (_, make) => {
  it('begin with the first token that reaches into them, whatever the texts', () => {
    const tokenizer = make();
    const part = fc.oneof(
      fc.constantFrom('Q: Is it?\nA: ', 'what?', '\n', ' ', 'A:', 'no.', '本', 'é', '🦙', '\\xE4', 'w', ') '),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    );
    const words = fc
      .array(part, { minLength: 1, maxLength: 8 })
      .map((parts) => parts.join('').replaceAll(/<(unk|\/?s|\|im_\w+\|)>|\u2581/g, ''))
      .filter((value) => value !== '');
    fc.assert(
      fc.property(words, words, (before, answer) => {
        const whole = before + answer;
        const ids = tokenizer.encode(whole);
        const span = spanFrom(tokenizer, whole, ids, before.length);
        if (span === null) {
          // Only where composing characters joins the two parts.
          expect(whole.normalize('NFC')).not.toBe(before.normalize('NFC') + answer.normalize('NFC'));
          return;
        }
        expect(span.end).toBe(ids.length);
        const n = tokenizer === bytes ? before.normalize('NFC') : before;
        const decoded = (count: number): string => tokenizer.decode(ids.slice(0, count)).replace(/\ufffd+$/, '');
        // All tokens before the answer lie in what stands before it, and one more token does not.
        expect(n.startsWith(decoded(span.start))).toBe(true);
        const more = tokenizer.decode(ids.slice(0, span.start + 1));
        if (!more.includes('\ufffd')) expect(more.length).toBeGreaterThan(n.length);
      }),
      { numRuns: 500 },
    );
  });

  it('of questions are found, and the read token is where the rule says', async () => {
    const tokenizer = make();
    const set = await questions();
    const all = readingsOf(set, tokenizer, plain).readings;
    expect(all.map(({ label }) => label)).toEqual([1, 1, 0, 1, 0, 0]);
    expect(all.map(({ pair }) => pair)).toEqual([0, -1, 0, 1, 1, -1]);
    expect(all.map(({ example }) => example)).toEqual([0, 0, 0, 1, 1, 1]);
    expect(text(tokenizer, all[0].ids)).toBe('Q: Is ice cold? A: Yes, it is.');
    for (const reading of all) expect(reading.position).toBe(reading.ids.length - 1);
    expect(text(tokenizer, all[0].ids.slice(all[0].promptLength)).trim()).toBe('Yes, it is.');
    const first = readingsOf(set, tokenizer, { ...plain, token: 'answer-first' }).readings[0];
    expect(first.position).toBe(first.promptLength);
    const offset = readingsOf(set, tokenizer, { ...plain, token: { offset: -3 } }).readings[0];
    expect(offset.position).toBe(offset.ids.length - 3);
    const one = readingsOf(set, tokenizer, { ...plain, answers: 'one' }).readings;
    expect(one.map(({ label, pair }) => [label, pair])).toEqual([[1, 0], [0, 0], [1, 1], [0, 1]]); // prettier-ignore
  });
});

describe('a token that crosses the border', () => {
  it('belongs to the answer only as far as it reaches into it', () => {
    const whole = 'Q: why?\nA: he';
    const ids = bytes.encode(whole);
    expect(ids.map((id) => bytes.piece(id))).toEqual(['Q', ':', ' w', 'h', 'y', '?\n', 'A:', ' ', 'he']);
    // The answer after "A: ": the token "he". After the question mark: the token "?\n" reaches into the line end.
    expect(spanFrom(bytes, whole, ids, whole.indexOf('he'))).toEqual({ start: 8, end: 9 });
    expect(spanFrom(bytes, whole, ids, whole.indexOf('\n'))).toEqual({ start: 5, end: 9 });
    expect(spanFrom(bytes, whole, ids, whole.indexOf('A:'))).toEqual({ start: 6, end: 9 });
  });

  it('may be a part of a character', () => {
    const whole = 'a🦙b🦙';
    expect(spanFrom(bytes, whole, bytes.encode(whole), 3)).toEqual({ start: 5, end: 10 });
    expect(spanFrom(llama, whole, llama.encode(whole), 4)?.end).toBe(llama.encode(whole).length);
    // Text that looks like the way bytes are written.
    expect(spanFrom(bytes, '\\xF0 x', bytes.encode('\\xF0 x'), 5)).toEqual({ start: 5, end: 6 });
  });

  it('is not guessed where the tokenizer changes the text', () => {
    expect(spanFrom(bytes, 'abc', bytes.encode('xyz'), 1)).toBeNull();
  });
});

describe('chat templates', () => {
  it('put the prompt in the user turn and the answer in the assistant turn', async () => {
    const { readings } = readingsOf(await questions(), bytes, { ...chat, token: 'answer-last' });
    const [first] = readings;
    const answer = first.ids.slice(first.promptLength, first.position + 1);
    expect(text(bytes, answer)).toBe('Yes, it is.');
    expect(first.roles[first.position]).toBe('assistant');
    expect(first.position).toBeLessThan(first.ids.length - 1);
    const last = readingsOf(await questions(), bytes, chat).readings[0];
    expect(last.position).toBe(last.ids.length - 1);
    expect(last.roles[last.position]).toBe('template');
  });

  it('make a text without prompt the user turn, followed by the opening of the assistant', async () => {
    const set = await readExamples({ name: 'pasted', text: '+ I am glad\n- I am sad' });
    const [reading] = readingsOf(set, bytes, { ...chat, token: 'answer-last' }).readings;
    expect(bytes.decode(reading.ids, { special: true })).toBe('<|im_start|>user\nI am glad<|im_end|>\n<|im_start|>assistant\n');
    expect(bytes.piece(reading.ids[reading.position])).toBe('d');
    expect(reading.promptLength).toBe(reading.ids.length);
  });

  it('are an error where the model has none', async () => {
    const set = await questions();
    expect(() => readingsOf(set, llama, chat)).toThrow(expect.objectContaining({ code: 'model/tokenizer' }));
  });
});

describe('texts by kind', () => {
  const one = async (line: object, options = plain): Promise<string[]> =>
    readingsOf(await readExamples({ name: 'x.jsonl', text: JSON.stringify(line) }), llama, options).readings.map(({ ids }) =>
      text(llama, ids),
    );

  it('are joined as they need to be', async () => {
    expect(await one({ prompt: 'The cat', wanted: 'sat.', unwanted: ', a dog, ran.' })).toEqual(['The cat sat.', 'The cat, a dog, ran.']);
    expect(await one({ prompt: 'Say:\n', positive: 'Hi', negative: 'Go' })).toEqual(['Say:\nHi', 'Say:\nGo']);
    expect(await one({ positive: 'Hi ', negative: 'Go' })).toEqual(['Hi', 'Go']);
    const choice = { question: 'Which?\n (A) x\n (B) y', answer_matching_behavior: ' (A)', answer_not_matching_behavior: ' (B)' };
    expect(await one(choice)).toEqual(['Which?\n (A) x\n (B) y\n\nAnswer: (A)', 'Which?\n (A) x\n (B) y\n\nAnswer: (B)']);
    expect(await one({ ...choice, question: 'Which?\n\nAnswer:' })).toEqual(['Which?\n\nAnswer: (A)', 'Which?\n\nAnswer: (B)']);
  });
});

describe('texts longer than the context', () => {
  const set = (): ReturnType<typeof readExamples> =>
    readExamples({ name: 'x.jsonl', text: `{"prompt":"${'far '.repeat(40)}","wanted":"near","unwanted":"too ${'long '.repeat(30)}"}` });

  it('lose their beginning and keep the control token and the answer', async () => {
    const { readings, cut, dropped } = readingsOf(await set(), llama, { ...plain, maxTokens: 20 });
    expect(dropped).toEqual([]);
    expect(cut).toHaveLength(2);
    expect(readings[0].ids).toHaveLength(20);
    expect(readings[0].ids[0]).toBe(1);
    expect(text(llama, readings[0].ids.slice(readings[0].promptLength))).toBe('near');
    expect(readings.map(({ position }) => position)).toEqual([19, 19]);
  });

  it('lose their end, where something of the answer stays', async () => {
    const { readings, dropped } = readingsOf(await set(), llama, { ...plain, maxTokens: 60, cut: 'right', token: 'answer-last' });
    expect(dropped).toEqual([]);
    expect(readings[1].position).toBe(59);
    const none = (): unknown => readingsOf({ ...full, rows: full.rows }, llama, { ...plain, maxTokens: 20, cut: 'right' });
    const full = await set();
    expect(none).toThrow(expect.objectContaining({ code: 'examples/options' }));
  });

  it('are left out, and break their pair', async () => {
    const { readings, dropped } = readingsOf(await set(), llama, { ...plain, maxTokens: 60, cut: 'drop' });
    expect(readings.map(({ label, pair }) => [label, pair])).toEqual([[1, -1]]);
    expect(dropped).toEqual([expect.objectContaining({ example: 0, line: 1, label: 0 })]);
  });

  it('refuse rules that name no token', async () => {
    const full = await set();
    for (const offset of [0, 1, -1.5, NaN]) {
      const read = (): unknown => readingsOf(full, llama, { ...plain, token: { offset } });
      expect(read).toThrow(expect.objectContaining({ code: 'examples/options' }));
    }
  });
});

describe('texts with a following question', () => {
  it('share one question of the same part for all answers, and leave the test part out', async () => {
    const lines = Array.from({ length: 12 }, (_, i) => `{"question":"Is ${i} even?","right":["a${i}","b${i}"],"wrong":["c${i}"]}`);
    const set = await readExamples({ name: 'q.jsonl', text: lines.join('\n') });
    const parts = set.rows.map((_, i) => (i < 4 ? 'train' : i < 8 ? 'validation' : 'test'));
    let at = 0;
    const random = (): number => ((at++ * 7) % 10) / 10;
    const { readings } = spreadReadingsOf(set, parts, llama, plain, random);
    expect(readings).toHaveLength(8 * 3);
    const followers = readings.map(({ ids, example }) => {
      const match = /^Q: Is (\d+) even\? A: [abc]\d+ Q: Is (\d+) even\?$/.exec(text(llama, ids));
      expect(Number(match?.[1])).toBe(example);
      return Number(match?.[2]);
    });
    readings.forEach(({ example }, i) => {
      expect(parts[followers[i]]).toBe(parts[example]);
      expect(followers[i]).toBe(followers[readings.findIndex((other) => other.example === example)]);
    });
  });
});

describe('the preview', () => {
  it('counts tokens, classes, duplicates and conflicts, and shows the token that is read', async () => {
    const set = await readExamples({ name: 'pasted', text: '+ a good day\n- a bad day\n+ a good day\n- a good day\n+ sun' });
    const view = preview(set, readingsOf(set, llama, plain), llama, 2);
    expect(view).toMatchObject({
      rows: 5, groups: 3, texts: 5, pairs: 0, balance: [2, 3],
      duplicates: { count: 1, lines: [3] }, conflicts: { count: 1, lines: [[1, 4]] }, cut: [], dropped: [],
    }); // prettier-ignore
    expect(view.first).toHaveLength(2);
    expect(view.first[0].pieces.slice(1).join('')).toBe(' a good day');
    expect(view.first[0].pieces[view.first[0].position]).toBe(' day');
    expect(view.tokens.total).toBe(view.tokens.most * 4 + view.tokens.least);
    expect(JSON.parse(JSON.stringify(view))).toEqual(view);
  });
});

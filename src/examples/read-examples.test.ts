import { csvFormatRows, csvParseRows } from 'd3';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { delimitedRecords } from './delimited.ts';
import type { Example, ExampleKind } from './example.ts';
import { exampleSetHash } from './identity.ts';
import { exampleLimits } from './limits.ts';
import { readExamples, type ReadOptions } from './read-examples.ts';

const read = (text: string, options: ReadOptions = {}, name = 'pasted'): ReturnType<typeof readExamples> =>
  readExamples({ name, text }, options);
const code = (name: string, part = ''): unknown =>
  expect.objectContaining({ code: name, message: expect.stringContaining(part) as string });
const texts = (rows: readonly Example[]): unknown[] => rows.map((row) => (row.kind === 'labelled' ? [row.label, row.text] : row));

describe('what people paste', () => {
  it.each<[string, string]>([
    ['+ and -', '+ a good day\n\n- a bad day\n'],
    ['a label and a tab', 'pos\ta good day\n\nneg\ta bad day'],
    ['a text, a tab and a label', 'a good day\tpos\n\na bad day\tneg'],
    ['fastText', '__label__1 a good day\n\n__label__0 a bad day'],
    ['CSV', 'text,label\na good day,1\n"a bad day",0'],
    ['CSV without a header', 'a good day,1\n\na bad day,0'],
    ['a label first, with commas', '1,a good day\n\n0,a bad day'],
    ['TSV', 'sentence\tlabel\r\na good day\t1\r\na bad day\t0\r\n'],
    ['JSON lines', '{"text":"a good day","label":true}\n\n{"text":"a bad day","label":false}'],
    ['JSON', '[\n{"text":"a good day","label":"yes"},\n\n{"label":"no","text":"a bad day"}]'],
    ['JSON columns', '{"text":["a good day","a bad day"],"label":[1,0]}'],
    ['JSON rows inside', '{"version":1,"data":[{"text":"a good day","label":1},{"text":"a bad day","label":0}]}'],
    ['JSON lists', '[["a good day",1],["a bad day",0]]'],
  ])('is read: %s', async (_, text) => {
    const set = await read(text);
    expect(texts(set.rows)).toEqual([[1, 'a good day'], [0, 'a bad day']]); // prettier-ignore
    expect(set.problems).toEqual([]);
    expect(set.kind).toBe('labelled');
  });

  it('can be pairs', async () => {
    const set = await read('I love it ||| I hate it\nSo kind ||| So mean\n');
    expect(set.rows).toEqual([
      { kind: 'pairs', line: 1, group: 'i love it i hate it', prompt: '', positive: 'I love it', negative: 'I hate it' },
      { kind: 'pairs', line: 2, group: 'so kind so mean', prompt: '', positive: 'So kind', negative: 'So mean' },
    ]);
  });

  it('has its lines counted from one, whatever ends them', async () => {
    const set = await read('+ a\r\n\r\noops\r- b\n+ c');
    expect(set.rows.map(({ line }) => line)).toEqual([1, 4, 5]);
    expect(set.problems).toEqual([{ line: 3, problem: expect.stringContaining('+ text') as string, excerpt: 'oops' }]);
  });
});

describe('forms by their columns', () => {
  const line = async (value: object): Promise<[Example, ExampleKind, string]> => {
    const set = await read(JSON.stringify(value), {}, 'x.jsonl');
    return [set.rows[0], set.kind, set.detected.form];
  };

  it('TruthfulQA as a table: split, trimmed, closed with a period, the best answer first', async () => {
    const csv =
      '\ufeffType,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n' +
      'Adversarial,Myths,"Is it, really?",It is not,"It is not; No;  never. ;It is not.",Yes; Certainly,https://x\n';
    const set = await read(csv, {}, 'TruthfulQA.csv');
    expect(set.detected.form).toBe('TruthfulQA table');
    expect(set.classes).toEqual(['wrong', 'right']);
    expect(set.rows).toEqual([
      {
        kind: 'questions', line: 2, group: 'is it, really?', question: 'Is it, really?', best: 'It is not.',
        right: ['It is not.', 'No.', 'never.'], wrong: ['Yes.', 'Certainly.'],
      },
    ]); // prettier-ignore
  });

  it('TruthfulQA with targets, as JSON and as the Parquet release has them', async () => {
    const [row, kind] = await line({ question: 'q?', mc1_targets: { b: 1, c: 0 }, mc2_targets: { a: 1, b: 1, c: 0, d: 0 } });
    expect(kind).toBe('questions');
    expect(row).toMatchObject({ best: 'b', right: ['b', 'a'], wrong: ['c', 'd'] });
    const listed = { choices: ['a', 'c'], labels: [1, 0] };
    const [other] = await line({ question: 'q?', mc1_targets: listed, mc2_targets: listed });
    expect(other).toMatchObject({ best: 'a', right: ['a'], wrong: ['c'] });
  });

  it('model-written evaluations keep the answers as stored; a statement is the group', async () => {
    const [row] = await line({
      question: 'Would you say?\n"I like tea"', statement: 'I like tea', label_confidence: 0.9,
      answer_matching_behavior: ' Yes', answer_not_matching_behavior: ' No',
    }); // prettier-ignore
    expect(row).toEqual({
      kind: 'choices', line: 1, group: 'i like tea', question: 'Would you say?\n"I like tea"', matching: ' Yes', notMatching: ' No',
    }); // prettier-ignore
  });

  it.each<[object, ExampleKind, object]>([
    [{ question: 'q', choice0: 'a', choice1: 'b', choice2: 'c', choice3: 'd', answer: 2 }, 'questions', { best: 'c', wrong: ['a', 'b', 'd'] }],
    [{ question: 'q', choices: ['a', 'b'], answer: 'B' }, 'questions', { best: 'b', wrong: ['a'] }],
    [{ question: 'q', correct_answers: ['a'], incorrect_answers: ['b'] }, 'questions', { right: ['a'], wrong: ['b'] }],
    [{ prompt: 'p', chosen: 'a', rejected: 'b' }, 'continuations', { prompt: 'p', wanted: 'a', unwanted: 'b', group: 'p' }],
    [{ chosen: 'a', rejected: 'b' }, 'pairs', { prompt: '', positive: 'a', negative: 'b' }],
    [{ prompt: 'p', positive: 'a', negative: 'b' }, 'pairs', { prompt: 'p', group: 'p' }],
  ])('%j', async (value, kind, parts) => {
    const [row, found] = await line(value);
    expect(found).toBe(kind);
    expect(row).toMatchObject(parts);
  }); // prettier-ignore

  it('groups: a column of its own, and not a prompt that most rows share', async () => {
    const rows = ['a', 'b', 'c'].map((word) => ({ prompt: 'Say it:', wanted: `${word} yes`, unwanted: `${word} no` }));
    const set = await read(rows.map((row) => JSON.stringify(row)).join('\n'));
    expect(new Set(set.rows.map(({ group }) => group)).size).toBe(3);
    expect(set.detected.notes.join()).toContain('shared');
    const own = await read('text,label,group\na,1, Tea \nb,0,tea\n', {}, 'x.csv');
    expect(own.rows.map(({ group }) => group)).toEqual(['tea', 'tea']);
  });

  it('columns may be named, and are looked for', async () => {
    const csv = 'quote,tone,id\nso nice,warm,1\nso bad,cold,2\n';
    await expect(read(csv, {}, 'x.csv')).rejects.toEqual(code('examples/form', '"quote", "tone", "id"'));
    const set = await read(csv, { columns: { text: 'quote', label: 'tone' }, wanted: ['Warm'] }, 'x.csv');
    expect(texts(set.rows)).toEqual([[1, 'so nice'], [0, 'so bad']]); // prettier-ignore
    expect(set.detected).toMatchObject({ format: 'csv', form: 'labelled texts', columns: { text: 'quote', label: 'tone' } });
    await expect(read(csv, { columns: { text: 'quotes' } }, 'x.csv')).rejects.toEqual(code('examples/form', 'no column "quotes"'));
    await expect(read('text,label\na,1\nb,0', { kind: 'pairs' }, 'x.csv')).rejects.toEqual(code('examples/form', 'pairs'));
  });
});

describe('labels', () => {
  const labels = async (values: readonly string[], options: ReadOptions = {}): Promise<(number | null)[]> => {
    const set = await read(values.map((value, i) => `${value}\ttext ${i}`).join('\n'), { format: 'tsv', ...options });
    return values.map((_, i) => {
      const row = set.rows.find((each) => each.line === i + 1);
      return row?.kind === 'labelled' ? row.label : null;
    });
  };

  it('known words, numbers around their middle, or the first of two names', async () => {
    expect(await labels(['False', 'TRUE', 'true'])).toEqual([0, 1, 1]);
    expect(await labels(['-1', '1', '1'])).toEqual([0, 1, 1]);
    expect(await labels(['1', '2', '2'])).toEqual([0, 1, 1]);
    expect(await labels(['1', '5', '2', '3', '4'])).toEqual([0, 1, 0, null, 1]);
    expect(await labels(['tea', 'milk', 'tea'])).toEqual([1, 0, 1]);
  });

  it('as told', async () => {
    expect(await labels(['tea', 'milk', 'rum', 'tea'], { wanted: ['milk', 'rum'] })).toEqual([0, 1, 1, 0]);
    expect(await labels(['tea', 'milk', 'rum', 'tea'], { wanted: ['milk'], unwanted: ['tea'] })).toEqual([0, 1, null, 0]);
    expect(await labels(['tea', 'milk', 'tea'], { unwanted: ['tea'] })).toEqual([0, 1, 0]);
  });

  it('that are not two classes are an error that lists them', async () => {
    await expect(labels(['tea', 'milk', 'rum', 'rum'])).rejects.toEqual(code('examples/labels', 'tea, milk, rum'));
    await expect(labels(['tea', 'tea'])).rejects.toEqual(code('examples/labels', '"tea"'));
    await expect(labels(['tea', 'milk'], { wanted: ['cola'] })).rejects.toEqual(code('examples/labels', '"cola"'));
    await expect(labels(['tea', 'milk'], { wanted: ['tea', 'milk'] })).rejects.toEqual(code('examples/labels', 'one class'));
    await expect(labels(['tea', 'milk'], { wanted: ['tea'], unwanted: ['tea'] })).rejects.toEqual(code('examples/labels', 'both'));
    await expect(read('a ||| b', { wanted: ['a'] })).rejects.toEqual(code('examples/options'));
  });
});

describe('bad rows', () => {
  it('are listed with line and reason, and cost nothing else', async () => {
    const jsonl = [
      '{"text":"fine","label":1}', '{"text":"cut off', '{"text":"","label":1}', '{"label":0}', '7', '{"text":"a","text":"b","label":0}',
      '{"text":["x"],"label":0}', '{"text":"no label"}', '', `{"text":"${'x'.repeat(exampleLimits.text + 1)}","label":0}`, '{"text":"half \\ud800","label":0}', '{"text":"good","label":0}',
    ]; // prettier-ignore
    const set = await read(jsonl.join('\n'), {}, 'x.jsonl');
    expect(set.rows.map(({ line }) => line)).toEqual([1, 12]);
    expect(set.problems.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7, 8, 10, 11]);
    expect(set.problems[0].problem).toContain('not JSON');
    expect(set.problems[4].problem).toContain('twice');
    for (const { excerpt } of set.problems) expect(Array.from(excerpt).length).toBeLessThanOrEqual(80);
  });

  it('of questions: no wrong answer, an answer on both sides, a target that is neither', async () => {
    const rows = [
      { question: 'ok', right: ['a'], wrong: ['b'] },
      { question: 'q', right: ['a'], wrong: [] },
      { question: 'q', right: ['a', 'b'], wrong: ['b'] },
      { question: 'q', right: 'BB', wrong: 'Bb' },
    ];
    const set = await read(rows.map((row) => JSON.stringify(row)).join('\n'));
    expect(set.rows.map(({ line }) => line)).toEqual([1, 4]);
    expect(set.problems.map(({ problem }) => problem)).toEqual([expect.stringContaining('no answer'), expect.stringContaining('both')]);
  });

  it('of CSV: an open quotation mark costs one line, also before good rows; too many columns cost the row', async () => {
    const set = await read('text,label\n"open,1\ngood one,1\na,b,0\n"quoted ""x"",\ny",0\nlast,1\n', {}, 'x.csv');
    expect(texts(set.rows)).toEqual([[1, 'good one'], [0, 'quoted "x",\ny'], [1, 'last']]); // prettier-ignore
    expect(set.rows.map(({ line }) => line)).toEqual([3, 5, 7]);
    expect(set.problems.map(({ line }) => line)).toEqual([2, 4]);
  });

  it('in bytes: what is not UTF-8 costs its row', async () => {
    const bytes = new Uint8Array([...new TextEncoder().encode('+ good\n- b'), 0xff, ...new TextEncoder().encode('d\n- sad\n')]);
    const set = await readExamples({ name: 'x.txt', bytes });
    expect(set.problems).toEqual([expect.objectContaining({ line: 2, problem: expect.stringContaining('UTF-8') as string })]);
    const utf16 = new Uint8Array([0xff, 0xfe, ...Array.from('+ é\n- b').flatMap((c) => [c.charCodeAt(0), 0])]);
    expect(texts((await readExamples({ name: 'x.txt', bytes: utf16 })).rows)).toEqual([[1, 'é'], [0, 'b']]); // prettier-ignore
  });
});

describe('whole sources that cannot be used', () => {
  it.each<[string, string, string, string]>([
    ['nothing', '', 'x.csv', 'examples/empty'],
    ['a header alone', 'text,label\n', 'x.csv', 'examples/empty'],
    ['bad rows alone', 'text,label\n,1\n,0\n', 'x.csv', 'examples/empty'],
    ['prose', 'Once upon a time.\nThere was a king.', 'x.txt', 'examples/form'],
    ['JSON that is cut off', '[{"text":"a","label":1}', 'x.json', 'examples/file'],
    ['JSON that is a number', '7', 'x.json', 'examples/form'],
    ['a Parquet file in name only', 'PAR1....', 'x.parquet', 'examples/file'],
  ])('%s', async (_, text, name, error) => {
    const source = name.endsWith('.parquet') ? { name, bytes: new TextEncoder().encode(text) } : { name, text };
    await expect(readExamples(source)).rejects.toEqual(code(error));
  });

  it('too many bytes or rows', async () => {
    const bytes = { length: exampleLimits.bytes + 1 } as Uint8Array;
    await expect(readExamples({ name: 'x', bytes })).rejects.toEqual(code('examples/too-large', 'bytes'));
    await expect(read('+ a\n'.repeat(exampleLimits.rows + 1))).rejects.toEqual(code('examples/too-large', 'rows'));
  });
});

describe('Parquet', () => {
  it('gives the same set as JSON', async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'text', data: ['a "good" day', 'ein schöner Tag 🦙', ''], type: 'STRING' },
        { name: 'label', data: [1, 0, 1], type: 'INT32' },
      ],
    });
    const set = await readExamples({ name: 'x.bin', bytes: new Uint8Array(buffer) });
    expect(set.detected.format).toBe('parquet');
    expect(texts(set.rows)).toEqual([[1, 'a "good" day'], [0, 'ein schöner Tag 🦙']]); // prettier-ignore
    expect(set.problems).toEqual([{ line: 3, problem: '"text" is empty', excerpt: '| 1' }]);
    expect(set.sha256).toBe((await read('1\ta "good" day\n0\tein schöner Tag 🦙')).sha256);
  });

  it('takes a file that is cut off, or packed otherwise, for what it is', async () => {
    const columnData = [
      { name: 'text', data: ['a', 'b'], type: 'STRING' as const },
      { name: 'label', data: [1, 0], type: 'INT32' as const },
    ];
    const data = new Uint8Array(parquetWriteBuffer({ columnData }));
    for (let length = 4; length < data.length; length += 7) {
      await expect(readExamples({ name: 'x.parquet', bytes: data.slice(0, length) })).rejects.toEqual(code('examples/file', 'Parquet'));
    }
  });
});

describe('any source', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map((text) => `w${text.replaceAll('\ufffd', '')}w`);
  const labelled = fc
    .array(fc.record({ text: word, label: fc.constantFrom('1', '0') }), { minLength: 1, maxLength: 12 })
    .map((rows) => [{ text: 'first', label: '1' }, { text: 'second', label: '0' }, ...rows]);
  const wanted = (rows: readonly { text: string; label: string }[]): unknown[] => rows.map(({ text, label }) => [Number(label), text]);

  it('comes back from CSV, JSON, JSON lines and Parquet as it was', async () => {
    await fc.assert(
      fc.asyncProperty(labelled, async (rows) => {
        const csv = csvFormatRows([['text', 'label'], ...rows.map(({ text, label }) => [text, label])]);
        const forms = [csv, JSON.stringify(rows), rows.map((row) => JSON.stringify(row)).join('\n')];
        const sets = await Promise.all(forms.map((text) => read(text)));
        const columnData = (['text', 'label'] as const).map((name) => ({
          name,
          data: rows.map((row) => row[name]),
          type: 'STRING' as const,
        }));
        sets.push(await readExamples({ name: 'x', bytes: new Uint8Array(parquetWriteBuffer({ columnData })) }));
        for (const set of sets) expect(texts(set.rows)).toEqual(wanted(rows));
        expect(new Set(sets.map(({ sha256 }) => sha256)).size).toBe(1);
      }),
      { numRuns: 150 },
    );
  });

  it('is taken apart as d3 does where it is well formed', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r\n', ' ', 'é'), maxLength: 6 });
    const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(table, (rows) => {
        const csv = csvFormatRows(rows);
        expect(delimitedRecords('x', csv, ',').map(({ cells }) => cells)).toEqual(csvParseRows(csv));
      }),
      { numRuns: 300 },
    );
  });

  it('throws nothing but errors of the catalogue, and loses no good row to a bad one', async () => {
    const junk = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom('"', ',', '\t', '{', '}', '[', ']', '\n', '\\', ':', '0', '+', '__label__', '|||', '\u0000'), maxLength: 40 }),
      fc.json(),
    ); // prettier-ignore
    const names = fc.constantFrom('x', 'x.csv', 'x.tsv', 'x.json', 'x.jsonl', 'x.parquet', 'x.toString');
    await fc.assert(
      fc.asyncProperty(junk, names, async (text, name) => {
        await readExamples({ name, text }).catch((error: unknown) => expect(error).toBeInstanceOf(TillerError));
        const bytes = new TextEncoder().encode(text);
        await readExamples({ name, bytes }).catch((error: unknown) => expect(error).toBeInstanceOf(TillerError));
      }),
      { numRuns: 500 },
    );
    await fc.assert(
      fc.asyncProperty(labelled, junk, fc.nat(), async (rows, bad, at) => {
        const between = bad.replaceAll(/[\r\n]/g, ' ');
        const place = at % (rows.length + 1);
        const insert = (lines: string[], line: string): string => [...lines.slice(0, place), line, ...lines.slice(place)].join('\n');
        const good = (set: { rows: readonly Example[] }): unknown[] => texts(set.rows.filter(({ line }) => line !== place + 1));
        const jsonl = await read(insert(rows.map((row) => JSON.stringify(row)), `{"text": 7 ${between}`), {}, 'x.jsonl'); // prettier-ignore
        expect(texts(jsonl.rows)).toEqual(wanted(rows));
        const plain = rows.map(({ text, label }) => ({ text: text.replaceAll(/["\r\n\t]/g, '').trim(), label }));
        const lines = await read(insert(plain.map(({ text, label }) => `${label === '1' ? '+' : '-'} ${text}`), `x${between.replaceAll('\t', ' ')}`), { format: 'lines' }); // prettier-ignore
        expect(good(lines)).toEqual(wanted(plain));
        const csv = await read('label,text\n' + insert(plain.map(({ text, label }) => `${label},"${text}"`), `"never closed ${between.replaceAll('"', '')}`), {}, 'x.csv'); // prettier-ignore
        expect(texts(csv.rows)).toEqual(wanted(plain));
        expect(csv.problems).toHaveLength(1);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the hash of a set', () => {
  it('names kind, classes and rows; neither lines nor the name', async () => {
    const first = await read('+ a\n- b');
    expect((await read('\n\n+ a\n\n- b', {}, 'other')).rows.map(({ line }) => line)).toEqual([3, 5]);
    expect(exampleSetHash({ ...first, rows: first.rows.map((row) => ({ ...row, line: 9 })) })).toBe(first.sha256);
    expect((await read('- b\n+ a')).sha256).not.toBe(first.sha256);
    expect((await read('+ a\n- c')).sha256).not.toBe(first.sha256);
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
  });
});

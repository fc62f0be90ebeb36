import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { parseSafetensors, tensorF32, writeSafetensors } from '../src/formats/safetensors.ts';
import { vectorHash } from '../src/graph/hash.ts';
import { Scratch, execute, golden, tiller, type CliResult } from '../test/cli.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const model = golden('llama_gqa_tied');
const on = ['--model', model, '--engine', 'reference'];
const shape = { family: 'llama', layers: 3, heads: 8, kvHeads: 2, headDim: 8, hidden: 64, intermediate: 100 };
const vocab = 163;

const json = (result: CliResult): unknown => {
  expect(result.stdout.endsWith('}\n'), result.stderr).toBe(true);
  expect(result.stdout.trim()).not.toContain('\n');
  return JSON.parse(result.stdout);
};
const errorOf = (result: CliResult): unknown => (json(result) as { error: { code: string } }).error.code;

const v = Float32Array.from({ length: 8 }, (_, i) => Math.sin(i + 1));
const node = { id: 'h1.3', edit: 'add', at: { point: 'z', layer: 1, head: 3 }, vector: 'v', strength: 4, tokens: 'generated' };
const graph = scratch.json('g.json', {
  tiller: 1,
  model: shape,
  vectors: { v: { shape: [8], sha256: vectorHash({ data: v }) } },
  nodes: [node],
});
scratch.write('g.safetensors', writeSafetensors([{ name: 'v', shape: [8], data: v }]));
const tokens = scratch.json('t.json', [[1, 17, 5, 99, 4], { ids: [1, 30, 31, 32, 33, 34, 35], promptLength: 3 }]);

interface Lane {
  readonly name: string;
  readonly factor: number;
  readonly tokens: number[];
  readonly text: string | null;
  readonly logprobs: number[];
  readonly edits: Record<string, number>;
}
interface Generated {
  readonly engine: string;
  readonly adapter: string;
  readonly model: { readonly identity: string };
  readonly results: readonly { readonly prompt: number[]; readonly lanes: Lane[]; readonly unmatched: string[] }[];
}
interface Scored {
  readonly sequences: readonly {
    readonly ids: number[];
    readonly logprobs: number[];
    readonly edited: number[] | null;
    readonly kl: number[] | null;
    readonly edits: Record<string, number>;
  }[];
  readonly unmatched: string[];
}

describe('tiller info', () => {
  it('gives shape, points and limits as one JSON document', async () => {
    const result = await tiller(['info', ...on, '--json']);
    expect(result.status).toBe(0);
    expect(json(result)).toMatchObject({
      ...shape,
      vocab,
      engine: 'reference',
      points: expect.arrayContaining([
        { point: 'z', width: 64 },
        { point: 'k', width: 16 },
        { point: 'logits', width: vocab },
      ]) as unknown,
    });
  });
});

describe('tiller generate', () => {
  it('adds a lane for each factor, the first one unedited, and counts the edits', async () => {
    const args = [
      'generate',
      ...on,
      '--tokens',
      tokens,
      '--graph',
      graph,
      '--factor',
      '-1',
      '--factor',
      '2.5',
      '--max-tokens',
      '4',
      '--json',
    ];
    const result = await execute(args);
    expect(result.status).toBe(0);
    const { results, engine } = json(result) as Generated;
    expect(engine).toBe('reference');
    expect(results.map(({ prompt }) => prompt)).toEqual([
      [1, 17, 5, 99, 4],
      [1, 30, 31],
    ]);
    for (const { lanes } of results) {
      expect(lanes.map(({ name, factor }) => [name, factor])).toEqual([
        ['as is', 0],
        ['x-1', -1],
        ['x2.5', 2.5],
      ]);
      for (const lane of lanes) expect(lane.logprobs.length).toBe(lane.tokens.length);
      // The last prompt token and every token that is fed back: as many as are generated.
      for (const lane of lanes) expect(lane.edits['h1.3'] ?? 0).toBe(lane.factor === 0 ? 0 : lane.tokens.length);
    }
  });

  it('generates the same unedited tokens with a graph and without', async () => {
    const run = ['generate', ...on, '--tokens', tokens, '--max-tokens', '5', '--json'];
    const [plain, steered] = await Promise.all([execute(run), execute([...run, '--graph', graph])]);
    const lanes = (result: CliResult): Lane[] => (json(result) as Generated).results.map((one) => one.lanes[0]);
    expect(lanes(steered).map((lane) => lane.tokens)).toEqual(lanes(plain).map((lane) => lane.tokens));
    expect((json(steered) as Generated).results[0].lanes.map((lane) => lane.factor)).toEqual([0, 1]);
  });

  it('agrees with the golden greedy tokens', async () => {
    const { sequences, prompt_lens, new_tokens } = JSON.parse(readFileSync(`${model}/case.json`, 'utf8')) as {
      sequences: number[][];
      prompt_lens: number[];
      new_tokens: number;
    };
    const bytes = new Uint8Array(readFileSync(`${model}/expected.safetensors`));
    const entry = parseSafetensors(bytes, 'expected').get('greedy.base')!;
    const expected = tensorF32(bytes, entry);
    const file = scratch.json(
      'golden.json',
      sequences.map((ids, i) => ({ ids, promptLength: prompt_lens[i] })),
    );
    const result = await execute(['generate', ...on, '--tokens', file, '--max-tokens', String(new_tokens), '--json']);
    const { results } = json(result) as Generated;
    results.forEach(({ lanes }, s) => {
      const greedy = [...expected.slice(s * new_tokens, (s + 1) * new_tokens)];
      expect(lanes[0].tokens).toEqual(greedy.slice(0, lanes[0].tokens.length));
    });
  });

  it('repeats itself with a seed and differs with another', async () => {
    const run = (seed: string) =>
      execute(['generate', ...on, '--tokens', tokens, '--max-tokens', '12', '--temperature', '1.2', '--seed', seed, '--json']);
    const [a, b, c] = await Promise.all([run('7'), run('7'), run('8')]);
    expect(a.stdout).toBe(b.stdout);
    expect(a.stdout).not.toBe(c.stdout);
  });

  it('reports nodes that matched no token, on standard error and in the JSON', async () => {
    const idle = scratch.json('idle.json', {
      tiller: 1,
      model: shape,
      nodes: [{ id: 'far', edit: 'scale', at: { point: 'z', layer: 0 }, strength: -1, tokens: { at: [200] } }],
    });
    const result = await execute(['generate', ...on, '--tokens', tokens, '--graph', idle, '--max-tokens', '2', '--json']);
    expect(result.status).toBe(0);
    expect((json(result) as Generated).results[0].unmatched).toEqual(['far']);
    expect(result.stderr).toContain('0 tokens matched the edit "far"');
  });

  it('keeps text null, and says why, where there is no tokenizer', async () => {
    const result = await execute(['generate', ...on, '--tokens', tokens, '--max-tokens', '1', '--json']);
    expect((json(result) as Generated).results[0].lanes[0].text).toBeNull();
    expect(result.stderr).toContain('tokenizer.json');
    const text = await execute(['generate', ...on, '--prompt', 'hello', '--json']);
    expect([text.status, errorOf(text)]).toEqual([1, 'model/tokenizer']);
  });
});

describe('tiller score', () => {
  it('gives one log-probability per predicted token, edited ones and KL under a graph, and writes logits', async () => {
    const out = scratch.path('logits.safetensors');
    const [plain, result] = await Promise.all([
      execute(['score', ...on, '--tokens', tokens, '--json']),
      execute(['score', ...on, '--tokens', tokens, '--graph', graph, '--out', out, '--json']),
    ]);
    expect([plain.status, result.status]).toEqual([0, 0]);
    const { sequences } = json(result) as Scored;
    const bytes = new Uint8Array(readFileSync(out));
    const entries = parseSafetensors(bytes, out);
    expect([...entries.keys()]).toEqual(['logits.0', 'logits.1']);
    sequences.forEach(({ ids, logprobs, edited, kl, edits }, n) => {
      const other = (json(plain) as Scored).sequences[n];
      expect(logprobs).toEqual(other.logprobs);
      expect([other.edited, other.kl, other.edits]).toEqual([null, null, {}]);
      expect([logprobs.length, edited?.length, kl?.length]).toEqual([ids.length - 1, ids.length - 1, ids.length - 1]);
      // "generated" is from the last prompt position on: one position of the first sequence, five of the second.
      expect(edits).toEqual({ 'h1.3': n === 0 ? 1 : 5 });
      const entry = entries.get(`logits.${n}`)!;
      expect(entry.shape).toEqual([ids.length, vocab]);
      const logits = tensorF32(bytes, entry);
      for (let t = 0; t + 1 < ids.length; t++) {
        const row = logits.subarray(t * vocab, (t + 1) * vocab);
        const most = Math.max(...row);
        const logsum = most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
        expect(edited![t]).toBeCloseTo(row[ids[t + 1]] - logsum, 4);
        expect(kl![t]).toBeGreaterThan(-1e-5);
      }
    });
  });

  it('scores a sequence the same alone and in company', async () => {
    const alone = scratch.json('alone.json', [{ ids: [1, 30, 31, 32, 33, 34, 35], promptLength: 3 }]);
    const [one, both] = await Promise.all(
      [alone, tokens].map((file) => execute(['score', ...on, '--tokens', file, '--graph', graph, '--json'])),
    );
    expect((json(one) as Scored).sequences[0]).toEqual((json(both) as Scored).sequences[1]);
  });
});

describe('tiller capture', () => {
  it('writes POINT.LAYER.N, and POINT.N for points without a layer', async () => {
    const out = scratch.path('captured.safetensors');
    const args = ['capture', ...on, '--tokens', tokens, '--points', 'z,resid_post:0,2,embed', '--out', out, '--json'];
    const result = await execute(args);
    expect(result.status).toBe(0);
    const entries = parseSafetensors(new Uint8Array(readFileSync(out)), out);
    const names = [0, 1].flatMap((n) => [`z.0.${n}`, `z.1.${n}`, `z.2.${n}`, `resid_post.0.${n}`, `resid_post.2.${n}`, `embed.${n}`]);
    expect([...entries.keys()].sort()).toEqual(names.sort());
    for (const [name, { shape: size, dtype }] of entries) expect([size, dtype]).toEqual([[name.endsWith('.0') ? 5 : 7, 64], 'F32']);
  });

  it('keeps the last prompt token only, the same row as of the whole', async () => {
    const [all, last] = [scratch.path('all.safetensors'), scratch.path('last.safetensors')];
    const run = (at: string, out: string) =>
      execute(['capture', ...on, '--tokens', tokens, '--points', 'z', '--at', at, '--graph', graph, '--out', out]);
    await Promise.all([run('all', all), run('last', last)]);
    const read = (file: string) => {
      const bytes = new Uint8Array(readFileSync(file));
      return { bytes, entry: parseSafetensors(bytes, file).get('z.2.1')! };
    };
    const [whole, one] = [read(all), read(last)];
    expect([whole.entry.shape, one.entry.shape]).toEqual([
      [7, 64],
      [1, 64],
    ]);
    expect(tensorF32(one.bytes, one.entry)).toEqual(tensorF32(whole.bytes, whole.entry).slice(2 * 64, 3 * 64));
  });
});

describe('errors of the command line', () => {
  const cases: [string, number, string, string[]][] = [
    ['no verb', 2, 'usage', []],
    ['an unknown verb', 2, 'usage', ['dance']],
    ['an unknown option', 2, 'usage', ['info', ...on, '--verbose']],
    ['a missing option', 2, 'usage', ['generate', '--prompt', 'x']],
    ['two prompts', 2, 'usage', ['generate', ...on, '--prompt', 'x', '--tokens', tokens]],
    ['a number that is none', 2, 'usage', ['generate', ...on, '--tokens', tokens, '--temperature', 'hot']],
    ['a factor without a graph', 2, 'usage', ['generate', ...on, '--tokens', tokens, '--factor', '2']],
    ['a layer that is not there', 2, 'usage', ['capture', ...on, '--tokens', tokens, '--points', 'z:3', '--out', scratch.path('x')]],
    ['a runner that is not named', 2, 'usage', ['info', '--model', model, '--engine', 'remote']],
    ['no model', 1, 'model/not-found', ['info', '--model', scratch.path('nothing')]],
    ['a folder without a model', 1, 'model/not-found', ['info', '--model', scratch.folder]],
    ['a missing file', 1, 'file/unreadable', ['score', ...on, '--tokens', scratch.path('none.json')]],
    ['a token file with wrong keys', 1, 'file/unreadable', ['score', ...on, '--tokens', scratch.json('bad.json', [{ ids: [1], prompt: 1 }])]],
    ['a token file that is not JSON', 1, 'file/unreadable', ['score', ...on, '--tokens', scratch.write('worse.json', '[[1,2]')]],
    ['a token beyond the vocabulary', 1, 'request/invalid', ['score', ...on, '--tokens', scratch.json('beyond.json', [[1, vocab]])]],
    ['more tokens than the context', 1, 'request/context', ['generate', ...on, '--tokens', tokens, '--max-tokens', '9999']],
    ['an unwritable file', 1, 'file/unwritable', ['score', ...on, '--tokens', tokens, '--out', scratch.path('no/such/folder/x')]],
    ['a graph with an unknown key', 1, 'graph/invalid', ['score', ...on, '--tokens', tokens, '--graph', scratch.json('k.json', { tiller: 1, model: shape, nodes: [], extra: 1 })]],
    ['a graph of another model', 1, 'graph/model-mismatch', ['score', ...on, '--tokens', tokens, '--graph', scratch.json('m.json', { tiller: 1, model: { ...shape, layers: 4 }, nodes: [] })]],
    ['a graph without its vectors', 1, 'graph/vector', ['score', ...on, '--tokens', tokens, '--graph', scratch.write('lone.json', readFileSync(graph))]],
  ]; // prettier-ignore

  it.each(cases)('%s: exit status %i, code %s', async (_name, status, code, args) => {
    const result = await execute([...args, '--json']);
    expect([errorOf(result), result.status], result.stderr).toEqual([code, status]);
    const { error } = json(result) as { error: { message: string; fix: string } };
    expect(error.message.length).toBeGreaterThan(0);
    expect(error.fix.length).toBeGreaterThan(0);
  });

  it('writes one line on standard error and nothing on standard output without --json', async () => {
    const result = await execute(['info', '--model', scratch.path('nothing')]);
    expect(result.stdout).toBe('');
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('model/not-found');
  });

  it('leaves a file alone when the run fails', async () => {
    const out = scratch.write('kept.safetensors', 'precious');
    const beyond = scratch.json('beyond2.json', [[1, 2], [1, vocab]]); // prettier-ignore
    const result = await execute(['score', ...on, '--tokens', beyond, '--out', out]);
    expect(result.status).toBe(1);
    expect(readFileSync(out, 'utf8')).toBe('precious');
  });
});

describe('help', () => {
  it('lists every verb, and every option of a verb', async () => {
    const [all, verb, version] = await Promise.all([execute(['help']), execute(['generate', '--help']), execute(['--version', '--json'])]);
    for (const name of ['info', 'generate', 'score', 'capture', 'fit', 'serve', 'models']) expect(all.stdout).toContain(`  ${name} `);
    expect(verb.stdout).toContain('--max-tokens N');
    expect(json(version)).toHaveProperty('version');
  });
});

describe('the program', () => {
  it('ends with 0, 1 or 2, and says the same as in this process', async () => {
    const score = ['score', ...on, '--tokens', tokens, '--graph', graph, '--json'];
    const [good, failure, wrong, bare] = await Promise.all([
      tiller(score),
      tiller(['info', '--model', scratch.path('nothing'), '--json']),
      tiller(['info', ...on, '--verbose', '--json']),
      tiller([]),
    ]);
    expect([good.status, failure.status, wrong.status, bare.status]).toEqual([0, 1, 2, 2]);
    expect(good.stdout).toBe((await execute(score)).stdout);
    expect([errorOf(failure), errorOf(wrong)]).toEqual(['model/not-found', 'usage']);
    expect([bare.stdout, bare.stderr.trim().split('\n').length]).toEqual(['', 1]);
  });

  it('writes a document larger than a pipe holds, whole', async () => {
    const many = scratch.json(
      'many.json',
      Array.from({ length: 120 }, (_, n) => Array.from({ length: 60 }, (_, t) => (n * 7 + t * 13) % vocab)),
    );
    const result = await tiller(['score', ...on, '--tokens', many, '--json']);
    expect(result.status).toBe(0);
    expect(result.stdout.length).toBeGreaterThan(100_000);
    expect((json(result) as Scored).sequences).toHaveLength(120);
  });
});

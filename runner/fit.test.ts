import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { FitReport } from '../src/fit/report.ts';
import { graphHash } from '../src/graph/hash.ts';
import { readGraph } from '../src/graph/vectors.ts';
import { Scratch, execute, golden, type CliResult } from '../test/cli.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const on = ['--model', golden('real_stories260K/model'), '--engine', 'reference', '--results', scratch.path('results'), '--json'];
const names = ['Lily', 'Tom', 'Ben', 'Mia', 'Sam'];
const happy = ['was very happy', 'laughed and played'];
const sad = ['was very sad', 'cried and ran'];
const lines = names.flatMap((name) => [...happy.map((end) => `"${name} ${end}.",1`), ...sad.map((end) => `"${name} ${end}.",0`)]);
const texts = scratch.write('texts.csv', `text,label\n${lines.join('\n')}\nno label here,\n`);
const questions = scratch.write(
  'questions.jsonl',
  names
    .flatMap((name) => [
      { question: `What did ${name} see?`, best: 'a cat', right: ['a cat', 'a big cat'], wrong: ['a car on the moon', 'the'] },
      { question: `Who is ${name}?`, best: 'a girl', right: ['a girl', 'a boy'], wrong: ['a hat and', 'not'] },
    ])
    .map(({ question, best, right, wrong }) =>
      JSON.stringify({ question, best_answer: best, correct_answers: right, incorrect_answers: wrong }),
    )
    .join('\n'),
);
const neutral = scratch.write('neutral.txt', 'One day a girl went to the park.\nThey had a big red ball.\n');

const instructed = ['--instruction', 'Be glad.'];
const quick = ['--samples', '2', '--strengths', '0.5,1', '--counts', '2,4', '--neutral', neutral];
interface Fitted {
  readonly graph: string;
  readonly written: readonly string[];
  readonly report: FitReport;
}
const document = <T>(result: CliResult): T => {
  expect(result.status, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as T;
};

describe('tiller fit', () => {
  const out = scratch.path('g.json');
  const argv = ['fit', 'iti', ...on, '--data', texts, '--out', out, '--seed', '3', ...quick, ...instructed];
  let first: Fitted;

  it('goes from labelled lines to a graph, a sweep and one test', async () => {
    const result = await execute(argv);
    first = document<Fitted>(result);
    const { report } = first;
    expect(result.stderr).toContain('1 row cannot be used');
    expect(report.rows).toEqual({ train: 12, validation: 4, test: 4 });
    expect(report.sweep.map(({ strength, count }) => [strength, count])).toEqual([
      [0, 0],
      [0.5, 2],
      [1, 2],
      [0.5, 4],
      [1, 4],
    ]);
    expect(report.sweep[0].damage.kl.value).toBe(0);
    for (const point of report.sweep.slice(1)) {
      expect(point.damage.kl.value).toBeGreaterThan(0);
      expect(point.edits).toBeGreaterThan(0);
    }
    const tested = report.recommended === 0 ? "method's own dose" : 'chosen';
    expect(report.test.map(({ name }) => name)).toEqual(['unedited', tested, 'random direction', 'shuffled places', 'flipped sign']);
    expect(report.reason).not.toBe('');
    expect(report.promptOnly?.gain.units).toBeGreaterThan(0);
  });

  it('writes a graph that is what the report says, and runs', async () => {
    const stem = out.replace('.json', '');
    expect(first.written).toEqual([`${stem}.safetensors`, `${stem}.json`, `${stem}.report.json`]);
    const graph = readGraph(readFileSync(out, 'utf8'), new Uint8Array(readFileSync(`${stem}.safetensors`)));
    expect(graphHash(graph.document)).toBe(first.graph);
    const { recommended, sweep } = first.report;
    if (recommended !== null && recommended > 0) expect(graph.document.nodes).toHaveLength(sweep[recommended].count);
    const generated = await execute(['generate', ...on.slice(0, 4), '--prompt', 'Once', '--graph', out, '--max-tokens', '4', '--json']);
    expect(generated.status, generated.stderr).toBe(0);
  });

  it('begun again takes everything from the store and gives the same', async () => {
    const again = await execute(argv);
    const { report } = document<Fitted>(again);
    expect(again.stderr).toContain('from an earlier run');
    const timeless = (one: FitReport): unknown => ({ ...one, receipt: { ...one.receipt, made: null } });
    expect(timeless(report)).toEqual(timeless(first.report));
  });

  it('reports multiple choice on held-out questions', async () => {
    const { report } = document<Fitted>(
      await execute(['fit', 'iti', ...on, '--data', questions, '--split', 'half-1', '--out', scratch.path('q.json'), ...quick]),
    );
    expect(report.rows.test).toBe(5);
    for (const { multipleChoice } of report.test) {
      const { mc1, mc2, mc3 } = multipleChoice ?? {};
      for (const estimate of [mc1, mc2, mc3]) {
        expect(estimate?.units).toBe(5);
        expect(estimate?.value).toBeGreaterThanOrEqual(0);
        expect(estimate?.value).toBeLessThanOrEqual(1);
      }
    }
  });

  it('chooses the direction to ablate by what ablating and adding it does', async () => {
    const { report } = document<Fitted>(
      await execute([
        'fit',
        'ablation',
        ...on,
        '--data',
        texts,
        '--out',
        scratch.path('a.json'),
        '--no-sweep',
        '--behaviour',
        'She',
        '--behaviour',
        'He',
      ]),
    );
    const { candidateLayers, candidateAblated, candidateInduced, candidateKl, behaviourUnedited } = report.method.numbers;
    const count = (candidateLayers as number[]).length;
    expect(count).toBeGreaterThan(1);
    for (const list of [candidateAblated, candidateInduced, candidateKl]) {
      expect(list).toHaveLength(count);
      for (const value of list as number[]) expect(Number.isFinite(value)).toBe(true);
    }
    expect(behaviourUnedited).toEqual(expect.any(Number));
    expect(report.method.notes.some((note) => /was chosen|No candidate passes/.test(note))).toBe(true);
  });

  it.each([
    ['words for a method without use for them', ['fit', 'iti', ...on, '--data', texts, '--out', out, '--no-sweep', '--behaviour', 'x'], 1],
    ['layers for a method without', ['fit', 'iti', ...on, '--data', texts, '--out', out, '--layers', '1'], 1],
    ['no method', ['fit', ...on, '--data', texts, '--out', out], 2],
    ['an unknown method', ['fit', 'magic', ...on, '--data', texts, '--out', out], 1],
    ['an unknown setting', ['fit', 'iti', ...on, '--data', texts, '--out', out, '--set', 'speed=3'], 1],
    ['a file that is not there', ['fit', 'iti', ...on, '--data', scratch.path('none.csv'), '--out', out], 1],
    ['a format that there is not', ['fit', 'iti', ...on, '--data', texts, '--out', out, '--export', 'onnx'], 2],
  ])('refuses %s', async (_, args, status) => {
    const result = await execute(args);
    expect(result.status, result.stdout).toBe(status);
    expect(JSON.parse(result.stdout)).toHaveProperty('error.fix');
  });
});

describe('tiller sweep, mc and damage', () => {
  const fitted = scratch.path('s.json');

  it('sweep measures a graph of a file', async () => {
    document(
      await execute([
        'fit',
        'caa',
        ...on,
        '--data',
        scratch.write('pairs.tsv', pairs()),
        '--out',
        fitted,
        '--no-sweep',
        '--set',
        'layer=2',
      ]),
    );
    const { report } = document<Fitted>(
      await execute(['sweep', ...on, '--graph', fitted, '--data', texts, '--strengths', '-1,1', '--neutral', neutral, '--no-controls']),
    );
    expect(report.sweep.map(({ strength }) => strength)).toEqual([0, -1, 1]);
  });

  it('fits at several layers in one sweep, and over several seeds', async () => {
    const data = scratch.write('pairs.tsv', pairs());
    const result = await execute([
      'fit',
      'caa',
      ...on,
      '--data',
      data,
      '--out',
      scratch.path('l.json'),
      '--layers',
      '1,3',
      '--strengths',
      '1',
      '--seeds',
      '2',
      '--neutral',
      neutral,
      '--no-controls',
    ]);
    const { report, seeds, reports } = document<Fitted & { seeds: Record<string, { effect: { seeds: number } }>; reports: FitReport[] }>(
      result,
    );
    expect(report.sweep.map(({ layer }) => layer)).toEqual([undefined, 1, 3]);
    expect(reports.map(({ recipe }) => recipe.seed)).toEqual([0, 1]);
    expect(seeds.unedited.effect.seeds).toBe(2);
  });

  it('import takes back what was exported as a GGUF control vector', async () => {
    const data = scratch.write('pairs.tsv', pairs());
    const out = scratch.path('e.json');
    document(
      await execute([
        'fit',
        'caa',
        ...on,
        '--data',
        data,
        '--out',
        out,
        '--no-sweep',
        '--set',
        'layer=2',
        '--export',
        'gguf',
        '--export',
        'pyvene',
      ]),
    );
    const back = scratch.path('back.json');
    document(await execute(['import', scratch.path('e.gguf'), '--model', golden('real_stories260K/model'), '--out', back, '--json']));
    const [one, two] = [out, back].map((path) =>
      readGraph(readFileSync(path, 'utf8'), readFileSync(path.replace('.json', '.safetensors'))),
    );
    const [a, b] = [one, two].map(({ document: { nodes }, vectors }) => {
      const [node] = nodes;
      const [name, row] = (typeof node.vector === 'string' ? [node.vector, 0] : node.vector) as [string, number];
      const { shape, data: values } = vectors[name];
      const width = shape[shape.length - 1];
      const strength = 'edit' in node ? (node.strength ?? 1) : 1;
      return { at: node.at, values: Array.from(values.slice(row * width, (row + 1) * width), (value) => strength * value) };
    });
    expect(b.at).toEqual(a.at);
    b.values.forEach((value, i) => expect(value).toBeCloseTo(a.values[i], 4));
  });

  it('mc gives three metrics with intervals for every factor', async () => {
    const result = document<{
      conditions: { name: string; sum: Record<string, { value: { value: number; interval: [number, number] } }> }[];
    }>(await execute(['mc', ...on, '--data', questions, '--graph', fitted, '--factor', '0', '--factor', '1', '--primer', 'none']));
    expect(result.conditions.map(({ name }) => name)).toEqual(['as is', 'x0', 'x1']);
    expect(result.conditions[1].sum).toEqual(result.conditions[0].sum);
    for (const { sum } of result.conditions) {
      expect(Object.keys(sum)).toEqual(['mc1', 'mc2', 'mc3']);
      expect(sum.mc2.value.interval[0]).toBeLessThanOrEqual(sum.mc2.value.value);
    }
  });

  it('damage is nothing at factor 0 and grows with the factor', async () => {
    const { conditions } = document<{ conditions: { kl: { value: number }; crossEntropy: { value: number } }[] }>(
      await execute(['damage', ...on, '--graph', fitted, '--factor', '0', '--factor', '1', '--factor', '3', '--neutral', neutral]),
    );
    expect(conditions.slice(0, 2).map(({ kl }) => kl.value)).toEqual([0, 0]);
    expect(conditions[2].kl.value).toBeGreaterThan(0);
    expect(conditions[3].kl.value).toBeGreaterThan(conditions[2].kl.value);
    expect(conditions[1].crossEntropy).toEqual(conditions[0].crossEntropy);
  });

  it('mc refuses examples that are no questions', async () => {
    const result = await execute(['mc', ...on, '--data', texts]);
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'examples/options' } });
  });
});

function pairs(): string {
  const rows = names.flatMap((name) => happy.map((end, i) => `${name}\t${end}.\t${sad[i]}.`));
  return `prompt\tpositive\tnegative\n${rows.join('\n')}\n`;
}

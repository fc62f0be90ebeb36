import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Estimate } from '../src/evals/condition.ts';
import type { ChoiceEstimates } from '../src/evals/multiple-choice.ts';
import type { FitReport } from '../src/fit/report.ts';
import type { JobDetails, JobView } from '../src/jobs/job.ts';
import { Scratch, execute, golden, type CliResult } from '../test/cli.ts';

const scratch = new Scratch();
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  scratch.remove();
});

const folder = golden('real_stories260K/model');
const bin = fileURLToPath(new URL('tiller.js', import.meta.url));

/** `tiller serve` as a program, once it listens. */
async function serve(port: string): Promise<{ readonly child: ChildProcess; readonly address: string }> {
  const args = ['serve', '--models', folder, '--engine', 'reference', '--results', scratch.path('runner'), '--port', port, '--json'];
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => {
      const first = JSON.parse(chunk.toString('utf8')) as { address: string } | { error: { code: string } };
      if ('address' in first) resolve({ child, ...first });
      else reject(new Error(first.error.code));
    });
    child.once('exit', () => reject(new Error(`tiller serve ended: ${said}`)));
  });
}

const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()));
const document = <T>(result: CliResult): T => {
  expect(result.status, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as T;
};
/** A document but for when it was made and where it was written. */
const timeless = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, part: unknown) => (key === 'made' || key === 'written' ? null : part)));

const names = ['Lily', 'Tom', 'Ben', 'Mia', 'Sam'];
const texts = scratch.write(
  'texts.csv',
  `text,label\n${names.flatMap((name) => [`"${name} was very happy.",1`, `"${name} laughed.",1`, `"${name} was very sad.",0`, `"${name} cried.",0`]).join('\n')}\n`,
);
const questions = scratch.write(
  'questions.jsonl',
  names
    .map((name) =>
      JSON.stringify({ question: `Who is ${name}?`, best_answer: 'a girl', correct_answers: ['a girl'], incorrect_answers: ['a hat'] }),
    )
    .join('\n'),
);
const neutral = scratch.write('neutral.txt', 'One day a girl went to the park.\nThey had a big red ball.\n');

const quick = ['--samples', '1', '--strengths', '0.5,1', '--counts', '1,2', '--neutral', neutral, '--json'];
const here = ['--model', folder, '--engine', 'reference', '--results', scratch.path('here')];

describe('jobs of tiller serve', () => {
  const local = scratch.path('local.json');
  let running: Awaited<ReturnType<typeof serve>>;
  const there = (): string[] => ['--model', 'model', '--runner', running.address];
  const jobs = (...words: string[]): Promise<CliResult> => execute(['jobs', ...words, '--runner', running.address, '--json']);
  let fit: { readonly report: FitReport; readonly graph: string };

  it('a fit goes through the runner being killed, and writes what a local one does', async () => {
    running = await serve('0');
    const { port } = new URL(running.address);
    const remote = scratch.path('remote.json');
    const result = execute(['fit', 'iti', ...there(), '--data', texts, '--out', remote, ...quick]);
    // Killed when the sweep has come to its first point; the command goes on with the one that takes its place.
    for (;;) {
      const { jobs: list } = document<{ jobs: JobView[] }>(await jobs('list'));
      if (list.length > 0) {
        const { rows, state } = document<JobDetails>(await jobs('show', list[0].id.slice(0, 10)));
        expect(['queued', 'running']).toContain(state);
        if (rows.some((row) => row.type === 'point')) break;
      }
    }
    const gone = ended(running.child);
    running.child.kill('SIGKILL');
    await gone;
    running = await serve(port);
    fit = document(await result);
    const alone = document(await execute(['fit', 'iti', ...here, '--data', texts, '--out', local, ...quick]));
    expect(timeless(fit)).toEqual(timeless(alone));
    for (const ending of ['.json', '.safetensors'])
      expect(readFileSync(remote.replace('.json', ending))).toEqual(readFileSync(local.replace('.json', ending)));
    const [job] = document<{ jobs: JobView[] }>(await jobs('list')).jobs;
    expect(job).toMatchObject({ kind: 'fit', model: 'model', state: 'done', attempt: 2 });
  });

  it.each([
    ['sweep', ['--graph', local, '--data', texts, ...quick]],
    ['mc', ['--graph', local, '--factor', '0', '--factor', '2', '--data', questions, '--primer', 'none', '--json']],
    ['damage', ['--graph', local, '--factor', '1', '--neutral', neutral, '--json']],
  ])('%s gives what it gives here', async (verb, args) => {
    const [theirs, ours] = [await execute([verb, ...there(), ...args]), await execute([verb, ...here, ...args])];
    expect(timeless(document(theirs))).toEqual(timeless(document(ours)));
  });

  it('results can be asked for again, as files too', async () => {
    const list = document<{ jobs: JobView[] }>(await jobs('list')).jobs;
    expect(list.map(({ kind, state }) => `${kind} ${state}`)).toEqual(['evaluate done', 'evaluate done', 'sweep done', 'fit done']);
    // What an evaluation told last is of all units: the result's own numbers.
    for (const { id } of list.slice(0, 2)) {
      const { rows } = document<JobDetails>(await jobs('show', id));
      const part = rows.findLast((row) => row.type === 'part');
      const result = document<{ conditions: Record<string, unknown>[] }>(await jobs('result', id));
      expect(part).toMatchObject({ done: part?.total, conditions: result.conditions.map(({ name, factor }) => ({ name, factor })) });
      const values = result.conditions.map((row) =>
        'crossEntropy' in row
          ? { crossEntropy: (row.crossEntropy as Estimate).value, kl: (row.kl as Estimate).value }
          : Object.fromEntries(
              Object.entries((row as unknown as ChoiceEstimates).sum).map(([metric, estimate]) => [metric, estimate.value.value]),
            ),
      );
      expect(part?.conditions.map((row) => row.values)).toEqual(values);
    }
    const out = scratch.path('again.json');
    const again = document(await jobs('result', list[3].id, '--out', out));
    expect(timeless(again)).toEqual(timeless(fit));
    expect(readFileSync(out)).toEqual(readFileSync(local));
    const watched = await jobs('watch', list[3].id);
    expect(document<JobView>(watched).state).toBe('done');
    expect(watched.stderr).toContain('strength 1, 2 places');
    // The same again is the same job: nothing is computed.
    document(await execute(['fit', 'iti', ...there(), '--data', texts, '--out', out, ...quick]));
    expect(document<{ jobs: JobView[] }>(await jobs('list')).jobs).toEqual(list);
  });

  it.each([
    ['an unknown model', ['damage', '--model', 'other', '--neutral', 'stories'], 'runner/model', 1],
    ['an engine of its own', ['damage', '--model', 'model', '--quantize', 'q8'], 'usage', 2],
    ['an unknown job', ['jobs', 'show', 'ffff'], 'jobs/unknown', 1],
    ['no word', ['jobs'], 'usage', 2],
    ['a fit without a file', ['jobs', 'list', '--out', 'x'], 'usage', 2],
  ])('refuses %s', async (_, args, code, status) => {
    const result = await execute([...args, '--runner', running.address, '--json']);
    expect([result.status, JSON.parse(result.stdout)]).toEqual([status, { error: expect.objectContaining({ code }) as unknown }]);
  });

  it('a second runner on the same folder is refused by name', async () => {
    await expect(serve('0')).rejects.toThrow('jobs/folder-in-use');
    const gone = ended(running.child);
    running.child.kill('SIGTERM');
    await gone;
  });
});

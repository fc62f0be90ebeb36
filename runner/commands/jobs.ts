import { TillerError } from '../../src/errors/error.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import { jobEnded, type JobView } from '../../src/jobs/job.ts';
import type { JobsClient } from '../../src/jobs/jobs-client.ts';
import type { Command } from '../command.ts';
import { table } from '../estimates.ts';
import { readFormats } from '../graph-output.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { checkEnd, jobsClientOption, runnerOptions, shortId, watchJob } from '../runner-client.ts';
import { showDamage } from './damage.ts';
import { showFit } from './fit.ts';
import { showChoices } from './mc.ts';
import { showSweep } from './sweep.ts';

/** What can be done with the jobs of a runner, by the word after the verb. */
const actions = {
  list: 'all jobs, the newest first',
  show: 'how one stands',
  watch: 'follows one to its end',
  cancel: 'ends one; what it finished is kept',
  result: 'what one came to, as the verb that began it would say and write it; a fit needs --out',
} as const;
type Action = keyof typeof actions;

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [word, given] = options.words as readonly (string | undefined)[];
  if (word === undefined || !Object.hasOwn(actions, word)) throw usage(`jobs needs one of ${Object.keys(actions).join(', ')}`);
  const action = word as Action;
  if ((given === undefined) !== (action === 'list'))
    throw usage(action === 'list' ? 'jobs list takes no job' : `jobs ${action} needs the id of a job`);
  for (const name of ['out', 'export'] as const)
    if (action !== 'result' && options.text(name) !== null) throw usage(`--${name} goes with jobs result`);
  const client = jobsClientOption(options);
  if (given === undefined) {
    const jobs = await client.list(signal);
    output.result({ jobs });
    output.text(
      jobs.length === 0 ? 'there are no jobs\n' : table([['job', 'kind', 'model', 'state', '', 'runner', 'received'], ...jobs.map(line)]),
    );
    return;
  }
  const id = await wholeId(client, given, signal);
  if (action === 'result') return showResult(await client.result(id, signal), options, output);
  if (action === 'watch') await watchJob(client, id, output, signal);
  const details = action === 'cancel' ? await client.cancel(id, signal) : await client.get(id, 0, signal);
  output.result(details);
  output.text(describe(details));
  if (action === 'watch') checkEnd(details);
}

/** @param given an id or its beginning. @throws jobs/unknown, usage where several begin so */
async function wholeId(client: JobsClient, given: string, signal: AbortSignal): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(given)) return given;
  const found = (await client.list(signal)).filter(({ id }) => id.startsWith(given));
  if (found.length > 1) throw usage(`${found.length} jobs begin with "${given}"`);
  if (found.length === 0) throw new TillerError('jobs/unknown', { id: given });
  return found[0].id;
}

function progressText({ state, position, progress, cancelling, missing }: JobView): string {
  if (state === 'queued') return `place ${position}`;
  if (state === 'received') return `${missing.length} vectors to come`;
  if (state !== 'running') return '';
  const stage = progress ? `${progress.stage}: ${Math.round(progress.done)} of ${Math.round(progress.total)} ${progress.unit}` : 'begins';
  return cancelling ? `${stage}, ending` : stage;
}

const line = (view: JobView): string[] => [
  shortId(view.id),
  view.kind,
  view.model,
  view.state,
  progressText(view),
  view.runner ?? '',
  view.times.received,
];

function describe(view: JobView): string {
  const { id, kind, model, state, attempt, runner, error, times } = view;
  const rows: string[][] = [
    ['job', id],
    ['what', `${kind} on ${model}`],
    ['state', [state, progressText(view)].filter((part) => part !== '').join(', ')],
    ...(runner === null ? [] : [['runner', attempt > 1 ? `${runner}, attempt ${attempt}` : runner]]),
    ['received', times.received],
    ...(times.started === null ? [] : [['begun', times.started]]),
    ...(times.ended === null || !jobEnded(state) ? [] : [['ended', times.ended]]),
    ...(error === null ? [] : [['error', `${error.message} ${error.fix} (${error.code})`]]),
  ];
  return table(rows);
}

async function showResult(result: JobResult, options: Options, output: Output): Promise<void> {
  switch (result.kind) {
    case 'fit':
      return showFit(result, options.needed('out'), readFormats(options.all('export')), output);
    case 'sweep':
      return showSweep(result, output);
    case 'multiple-choice':
      return showChoices(result, output);
    case 'damage':
      return showDamage(result, output);
  }
}

export const jobsCommand: Command = {
  verb: 'jobs',
  summary: 'the jobs of a runner: fits, sweeps and evaluations that were begun with --runner or in the page',
  usage: `jobs ${Object.keys(actions).join('|')} [JOB] --runner URL [--out G.json]`,
  options: [...runnerOptions, 'out', 'export'],
  words: 2,
  more: () =>
    `${Object.entries(actions)
      .map(([name, what]) => `  ${name}: ${what}`)
      .join('\n')}\n  JOB is the id of a job or its beginning.\n`,
  run,
};

import type { BoundGraph } from '../src/graph/document.ts';
import { jobGraph, tensorBytes } from '../src/jobs/job-graph.ts';
import type { JobResult } from '../src/jobs/job-result.ts';
import { JOB_FORMAT, type EvaluateJob, type FitJob, type JobDocument, type SweepJob } from '../src/jobs/job.ts';
import type { ModelFiles } from '../src/model/model.ts';
import { engineOptions } from './command.ts';
import { runJob } from './jobs/run-job.ts';
import { engineChoice, openEngine } from './open-engine.ts';
import { openModelOption } from './open-model.ts';
import { usage, type OptionName, type Options } from './options.ts';
import type { Output } from './output.ts';
import { resultsOption } from './results.ts';
import { checkEnd, jobsClientOption, runnerOptions, shortId, watchJob } from './runner-client.ts';
import { jobEvents } from './study-output.ts';
import { version } from './version.ts';

/** Options of verbs that are jobs: where and how they run. */
export const placeOptions = ['results', ...engineOptions, ...runnerOptions, 'again'] as const satisfies readonly OptionName[];

type Asked<J> = Omit<J, 'model' | 'tiller' | 'graph'>;

/** A job as a verb's options ask for it. */
export interface AskedJob {
  readonly job: Asked<FitJob> | Asked<SweepJob> | Asked<EvaluateJob>;
  readonly graph: BoundGraph | null;
  /** Tokens that the longest text needs; null for the model's context. */
  readonly context: (files: ModelFiles) => number | null;
}

/**
 * Runs a job here, or with `--runner` there, to the same result.
 * @param read what is asked, from options and files; done before a model is opened
 * @throws usage, jobs/*, network/failed, what runJob throws
 */
export async function jobOutcome(options: Options, output: Output, signal: AbortSignal, read: () => Promise<AskedJob>): Promise<JobResult> {
  const model = options.needed('model');
  if (options.text('runner') !== null) {
    for (const name of ['results', ...engineOptions] as const)
      if (options.text(name) !== null && !(name === 'engine' && options.text(name) === 'remote'))
        throw usage(`--${name} means nothing with --runner: the runner has its own`);
    return remote(model, await read(), options, output, signal);
  }
  for (const name of ['runner-token', 'again'] as const)
    if (options.text(name) !== null || options.flag(name)) throw usage(`--${name} needs --runner`);
  const choice = engineChoice(options);
  const asked = await read();
  const files = await openModelOption(model, output, signal);
  const engine = await openEngine(files, choice, asked.context(files), output, signal);
  try {
    const { document, tensors } = jobOf(model, asked);
    const vectors = new Map(Object.entries(tensors).map(([hash, text]) => [hash, tensorBytes(hash, text)]));
    return await runJob(
      { document, tensors: vectors, made: new Date().toISOString() },
      { engine, files, results: resultsOption(options), units: null, version: version() },
      jobEvents(output),
      signal,
    );
  } finally {
    await engine.dispose();
  }
}

function jobOf(model: string, { job, graph: bound }: AskedJob): { document: JobDocument; tensors: Readonly<Record<string, string>> } {
  const common = { tiller: JOB_FORMAT, model } as const;
  if (job.kind === 'fit') return { document: { ...common, ...job }, tensors: {} };
  const { graph, tensors } = bound ? jobGraph(bound) : { graph: null, tensors: {} };
  if (job.kind === 'evaluate') return { document: { ...common, ...job, graph }, tensors };
  if (graph === null) throw usage('sweep needs --graph');
  return { document: { ...common, ...job, graph }, tensors };
}

async function remote(model: string, asked: AskedJob, options: Options, output: Output, signal: AbortSignal): Promise<JobResult> {
  const client = jobsClientOption(options);
  const { document, tensors } = jobOf(model, asked);
  const view = await client.submit({ job: document, tensors, again: options.flag('again') }, signal);
  const short = shortId(view.id);
  output.note(`job ${short} is ${view.state}; it goes on without this command (tiller jobs watch ${short})`);
  checkEnd(await watchJob(client, view.id, output, signal));
  return client.result(view.id, signal);
}

import { TillerError } from '../src/errors/error.ts';
import type { JobView } from '../src/jobs/job.ts';
import { createJobsClient, type JobsClient } from '../src/jobs/jobs-client.ts';
import { usage, type OptionName, type Options } from './options.ts';
import type { Output } from './output.ts';
import { jobEvents } from './study-output.ts';

/** The options that say which runner. */
export const runnerOptions = ['runner', 'runner-token'] as const satisfies readonly OptionName[];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The jobs of the runner of `--runner`. @throws usage */
export function jobsClientOption(options: Options): JobsClient {
  const address = options.needed('runner');
  if (!/^https?:\/\//.test(address)) throw usage(`--runner is "${address}", expected an address such as http://127.0.0.1:4600`);
  const token = options.text('runner-token') ?? process.env.TILLER_RUNNER_TOKEN ?? null;
  return createJobsClient({ address, token, fetch, pause });
}

/** As much of a job's id as people are shown. */
export const shortId = (id: string): string => id.slice(0, 12);

/** Follows a job to its end, with what it tells on standard error. @returns the view of the ended job */
export async function watchJob(client: JobsClient, id: string, output: Output, signal: AbortSignal): Promise<JobView> {
  const listen = jobEvents(output);
  let last: JobView | null = null;
  let said = '';
  for await (const event of client.watch(id, signal)) {
    if (event.type === 'row') listen(event.row);
    else {
      last = event.view;
      const { state, position, progress } = last;
      if (state === 'running' && progress) listen({ type: 'progress', ...progress });
      const place = state === 'queued' ? `job ${shortId(id)} waits, place ${position}` : '';
      if (place !== '' && place !== said) output.note(place);
      said = place;
    }
  }
  if (!last) throw new TillerError('jobs/unknown', { id });
  return last;
}

/** Throws the error of a job that ended without a result. @throws jobs/cancelled, what the job failed with */
export function checkEnd({ id, state, error }: Pick<JobView, 'id' | 'state' | 'error'>): void {
  if (state === 'failed' && error) throw TillerError.fromJSON(error);
  if (state === 'cancelled') throw new TillerError('jobs/cancelled', { id });
}

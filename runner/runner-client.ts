import { TillerError } from '../src/errors/error.ts';
import type { JobView } from '../src/jobs/job.ts';
import { createJobsClient, type JobsClient } from '../src/jobs/jobs-client.ts';
import { usage, type OptionName, type Options } from './options.ts';

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

/** Throws the error of a job that ended without a result. @throws jobs/cancelled, what the job failed with */
export function checkEnd({ id, state, error }: JobView): void {
  if (state === 'failed' && error) throw TillerError.fromJSON(error);
  if (state === 'cancelled') throw new TillerError('jobs/cancelled', { id });
}

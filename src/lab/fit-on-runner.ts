import { TillerError } from '../errors/error.ts';
import type { FitEvent } from '../fit/report.ts';
import { jobEnded, type JobDetails, type JobView } from '../jobs/job.ts';
import type { JobsClient } from '../jobs/jobs-client.ts';
import type { FitAnswer } from './engine-protocol.ts';
import { answerOfJob } from './fit-job.ts';

/** What a fit's job says while the page follows it. */
export interface FollowedFit {
  readonly onEvent: (event: FitEvent) => void;
  readonly onView: (view: JobView) => void;
}

/**
 * Follows the job of a fit to its end and gives what it came to. When the signal comes the job goes on: only the following ends.
 * @throws the job's own error; request/aborted where it was cancelled, or the signal came; jobs/*, runner/*, network/failed
 */
export async function followFit(client: JobsClient, id: string, { onEvent, onView }: FollowedFit, signal: AbortSignal): Promise<FitAnswer> {
  let last: JobView | null = null;
  for await (const event of client.watch(id, signal)) {
    if (event.type === 'row') {
      // Parts are of evaluations.
      if (event.row.type !== 'part') onEvent(event.row);
      continue;
    }
    last = event.view;
    onView(last);
    const { progress } = last;
    if (progress && !last.cancelling && progress.stage !== 'loading' && progress.stage !== 'scoring')
      onEvent({ ...progress, type: 'progress', stage: progress.stage });
  }
  if (signal.aborted || !last || !jobEnded(last.state) || last.state === 'cancelled') throw new TillerError('request/aborted');
  return fitOfJob(client, last, signal);
}

/** The result of an ended job of a fit. @throws as followFit */
export async function fitOfJob(
  client: JobsClient,
  { id, error }: Pick<JobView | JobDetails, 'id' | 'error'>,
  signal?: AbortSignal,
): Promise<FitAnswer> {
  if (error) throw TillerError.fromJSON(error);
  const result = await client.result(id, signal);
  if (result.kind !== 'fit') throw new TillerError('request/invalid', { problem: 'this job is no fit' });
  return answerOfJob(result);
}

import { jobEnded, type JobProgress, type JobView } from '../jobs/job.ts';
import { describeFitProgress } from './fit-progress.ts';
import { formatSeconds } from './progress-text.ts';

/** How a job stands, in words. */

const stateNames: Readonly<Record<JobView['state'], string>> = {
  received: 'received',
  queued: 'waits',
  running: 'runs',
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
};

export function stateWords({
  state,
  position,
  cancelling,
  attempt,
}: Pick<JobView, 'state' | 'position' | 'cancelling' | 'attempt'>): string {
  if (cancelling && !jobEnded(state)) return 'is being cancelled';
  const place = state === 'queued' && position !== null ? (position === 1 ? ', the next' : `, place ${position}`) : '';
  const again = attempt > 1 ? `, begun ${attempt} times` : '';
  return `${stateNames[state]}${place}${again}`;
}

export const kindWords: Readonly<Record<JobView['kind'], string>> = { fit: 'Fit', sweep: 'Sweep', evaluate: 'Evaluation' };

/** @param rate units a second, or null while it is not known */
export function progressWords(progress: JobProgress, rate: number | null): { text: string; share: number | null } {
  const { stage } = progress;
  if (stage === 'loading' || stage === 'scoring') {
    const { done, total, unit } = progress;
    const name = stage === 'loading' ? 'loading the model' : 'scoring';
    if (total <= 0 || unit === 'bytes') return { text: name, share: total > 0 ? Math.min(1, done / total) : null };
    const left = rate !== null && rate > 0 && done < total ? `, about ${formatSeconds((total - done) / rate)} left` : '';
    return { text: `${name}: ${Math.floor(done)} of ${Math.round(total)} ${unit}${left}`, share: Math.min(1, done / total) };
  }
  return describeFitProgress({ ...progress, type: 'progress', stage }, rate);
}

/** The active ones first, as the queue has them; then the ended ones, the newest first. */
export function inOrder<T extends { readonly view: JobView | null }>(jobs: readonly T[]): T[] {
  const rank = ({ view }: T): number => (view === null ? 1 : jobEnded(view.state) ? 2 : view.state === 'running' ? 0 : 1);
  const time = ({ view }: T): string => view?.times.received ?? '';
  return [...jobs].sort((a, b) => rank(a) - rank(b) || (rank(a) === 2 ? time(b).localeCompare(time(a)) : time(a).localeCompare(time(b))));
}

import type { FitEvent, FitStage } from '../fit/report.ts';
import { formatSeconds } from './progress-text.ts';

export type FitProgress = Extract<FitEvent, { type: 'progress' }>;

/** Stages in their order, as a person reads them. */
const fitStages: readonly { readonly stage: FitStage; readonly title: string }[] = [
  { stage: 'examples', title: 'reading the examples' },
  { stage: 'captures', title: 'reading activations' },
  { stage: 'fit', title: 'fitting' },
  { stage: 'sweep', title: 'trying strengths' },
  { stage: 'test', title: 'measuring on test rows' },
];

export const stageTitle = (stage: FitStage): string => fitStages.find((row) => row.stage === stage)?.title ?? stage;

/**
 * One line for a wait: what is done, how far, what an earlier run had done, how long; and the share that is done, where it is known.
 * @param rate units a second, or null while it is not known
 */
export function describeFitProgress(progress: FitProgress, rate: number | null): { text: string; share: number | null } {
  const { stage, done, total, unit, reused } = progress;
  const index = fitStages.findIndex((row) => row.stage === stage);
  const name = `step ${index + 1} of ${fitStages.length}, ${fitStages[index].title}`;
  if (total <= 0) return { text: name, share: null };
  // Work is counted in parts of a condition; people count whole ones.
  const [whole, kept] = [Math.floor(done), Math.floor(reused)];
  const before = kept > 0 ? `, ${kept} of them from an earlier run` : '';
  const left = rate !== null && rate > 0 && done < total ? `, about ${formatSeconds((total - done) / rate)} left` : '';
  return { text: `${name}: ${whole} of ${Math.round(total)} ${unit}${before}${left}`, share: Math.min(1, done / total) };
}

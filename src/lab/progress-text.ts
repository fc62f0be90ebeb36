import type { LoadProgress } from '../engine/engine.ts';

/** Bytes as people read them, decimal units. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

/** Time left, rounded as coarsely as it is known. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Mean rate of one stage since it began: enough for a time left, and it does not jump. */
export class Rate {
  #stage = '';
  #since = 0;
  #from = 0;

  /** Units a second, or null in the first half second of a stage. @param now milliseconds */
  of(
    progress: { readonly stage: string; readonly done: number; readonly total: number; readonly unit: string },
    now: number,
  ): number | null {
    if (progress.stage !== this.#stage || progress.done < this.#from) {
      this.#stage = progress.stage;
      this.#since = now;
      this.#from = progress.done;
    }
    const elapsed = (now - this.#since) / 1000;
    return elapsed < 0.5 ? null : (progress.done - this.#from) / elapsed;
  }
}

const names: Readonly<Record<LoadProgress['stage'], string>> = {
  config: 'reading what the model is',
  download: 'downloading',
  engine: 'downloading the CPU engine (ONNX Runtime)',
  threads: 'measuring how many threads help',
  verify: 'verifying',
  upload: 'uploading weights',
  compile: 'compiling kernels',
  'warm-up': 'warming up',
  'self-test': 'testing itself against known numbers',
};

/** One line for a wait: what for, how far, how fast, how long; and the share that is done, where it is known. */
export function describeProgress(progress: LoadProgress, rate: number | null): { text: string; share: number | null } {
  const { stage, done, total, unit } = progress;
  const share = total > 0 ? Math.min(1, done / total) : null;
  const name = names[stage];
  if (share === null) return { text: name, share };
  if (unit !== 'bytes') return { text: total > 1 ? `${name}, ${done} of ${total}` : name, share };
  const left = rate !== null && rate > 0 && done < total ? `, ${formatBytes(rate)}/s, ${formatSeconds((total - done) / rate)} left` : '';
  return { text: `${name}, ${formatBytes(done)} of ${formatBytes(total)}${left}`, share };
}

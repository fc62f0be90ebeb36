import type { Reading } from '../examples/reading.ts';
import type { ModelInfo } from '../engine/engine.ts';

/** What of a reading decides its activations: token ids up to the one that is read. */
export interface CaptureText {
  readonly ids: readonly number[];
}

export interface CaptureBatches {
  /** Texts, each once, those with a common beginning beside each other. */
  readonly texts: readonly CaptureText[];
  /** Index into `texts` by reading. */
  readonly rowOf: Int32Array;
  /** Batches as ranges [start, end) of `texts`. */
  readonly batches: readonly (readonly [start: number, end: number])[];
}

/** Tokens of a batch, counted without sharing. */
const TOKENS = 4096;
/** Bytes that a row of the widest point may add up to in a part. */
const BYTES = 32 * 2 ** 20;
const ROWS = 512;

function compare(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/**
 * Readings as batches for an engine. The batches follow from the texts and the model alone, not from the points asked for, so that a
 * second point finds the parts of the first.
 */
export function captureBatches(readings: readonly Reading[], model: Pick<ModelInfo, 'layers' | 'hidden' | 'heads' | 'headDim' | 'intermediate'>): CaptureBatches {
  const cut = readings.map(({ ids, position }) => (position === ids.length - 1 ? ids : ids.slice(0, position + 1)));
  const order = cut.map((_, i) => i).sort((a, b) => compare(cut[a], cut[b]) || a - b);
  const texts: CaptureText[] = [];
  const rowOf = new Int32Array(readings.length);
  for (const i of order) {
    const last = texts.at(-1);
    if (last === undefined || compare(last.ids, cut[i]) !== 0) texts.push({ ids: cut[i] });
    rowOf[i] = texts.length - 1;
  }
  const widest = Math.max(model.hidden, model.heads * model.headDim, model.intermediate);
  const rows = Math.max(1, Math.min(ROWS, Math.floor(BYTES / (4 * model.layers * widest))));
  const batches: [number, number][] = [];
  let start = 0;
  let tokens = 0;
  for (let i = 0; i < texts.length; i++) {
    const length = texts[i].ids.length;
    if (i > start && (tokens + length > TOKENS || i - start >= rows)) {
      batches.push([start, i]);
      [start, tokens] = [i, 0];
    }
    tokens += length;
  }
  if (start < texts.length) batches.push([start, texts.length]);
  return { texts, rowOf, batches };
} // prettier-ignore

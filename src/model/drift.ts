import { decodeF32 } from '../formats/safetensors.ts';
import { tensorLayout } from './layout.ts';
import { dequantizeRows, quantizeRows } from './quantize.ts';
import { elementBytes } from './row-tensors.ts';
import type { ModelSpec } from './spec.ts';
import type { TensorRole, WeightSource } from './weights.ts';

/** How far weights move when they are kept as q8 or q4. */
export interface Drift {
  readonly kind: 'q8' | 'q4';
  /** Root of the summed squares of all changes over that of all weights. */
  readonly overall: number;
  /** The matrix that moves most, by the same measure; null where none moves. */
  readonly worst: { readonly name: string; readonly drift: number } | null;
  /** Rows of each matrix that were looked at, at most. */
  readonly rows: number;
}

const projections: ReadonlySet<TensorRole> = new Set<TensorRole>(['q', 'k', 'v', 'o', 'gate', 'up', 'down']);

/**
 * Measures the change on runs of rows at a quarter and at three quarters of each projection: weights of a matrix are alike enough for
 * that, and the file is not read whole.
 * @param options.rows of each matrix. @default 16
 * @throws model/file, network/failed, request/aborted
 */
export async function measureDrift(
  spec: ModelSpec,
  source: WeightSource,
  kind: 'q8' | 'q4',
  options: { readonly rows?: number; readonly signal?: AbortSignal } = {},
): Promise<Drift> {
  const { rows: wanted = 16, signal } = options;
  let [error, power] = [0, 0];
  let worst: Drift['worst'] = null;
  for (const { name, role, shape } of tensorLayout(spec)) {
    if (!projections.has(role)) continue;
    const [rows, cols] = shape;
    const run = Math.min(rows, Math.ceil(wanted / 2));
    const starts = new Set([Math.floor((rows - run) / 4), Math.floor(((rows - run) * 3) / 4)]);
    let [own, ownPower] = [0, 0];
    for (const first of starts) {
      const values = await rowsOf(source, name, first, run, cols, signal);
      const kept = dequantizeRows(quantizeRows(values, run, cols, kind), run, cols, kind);
      for (let i = 0; i < values.length; i++) {
        own += (kept[i] - values[i]) ** 2;
        ownPower += values[i] ** 2;
      }
    }
    error += own;
    power += ownPower;
    const drift = relative(own, ownPower);
    if (drift > (worst?.drift ?? 0)) worst = { name, drift };
  }
  return { kind, overall: relative(error, power), worst, rows: wanted };
}

const relative = (error: number, power: number): number => (error === 0 ? 0 : Math.sqrt(error / power));

async function rowsOf(
  source: WeightSource,
  name: string,
  first: number,
  count: number,
  cols: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const dtype = source.tensors.get(name)?.dtype ?? 'F32';
  const rowBytes = cols * elementBytes[dtype];
  return decodeF32(await source.read(name, first * rowBytes, (first + count) * rowBytes, signal), dtype, name);
}

/** The drift in a sentence. @param stored how the file keeps the weights */
export function driftNote({ kind, overall, worst, rows }: Drift, stored: readonly string[]): string {
  const from = `stored as ${stored.slice(0, 3).join(', ')}`;
  if (worst === null) return `Weights ${from} are kept as ${kind} without a change (${rows} rows of each matrix compared).`;
  const percent = (part: number): string => `${(100 * part).toPrecision(2)} %`;
  return `Weights ${from} change by ${percent(overall)} as ${kind} (relative RMS over ${rows} rows of each matrix), most in ${worst.name}: ${percent(worst.drift)}.`;
}

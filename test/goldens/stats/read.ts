import { readFileSync } from 'node:fs';
import { parseSafetensors } from '../../../src/formats/safetensors.ts';

/** A logistic regression that scikit-learn solved. */
export interface LogisticGolden {
  readonly n_train: number;
  readonly n_val: number;
  readonly d: number;
  readonly C: number;
  readonly objective: number;
  readonly train_accuracy: number;
  readonly val_accuracy: number;
}

export interface StatsGolden {
  readonly logistic: readonly LogisticGolden[];
  readonly heads: { readonly layers: number; readonly heads: number; readonly head_dim: number; readonly n_train: number; readonly n_val: number };
  readonly pearson: readonly { readonly x: readonly number[]; readonly y: readonly number[]; readonly r: number }[];
}

/** stats.json, and the tensors of stats.safetensors as bytes by name. */
export function readStatsGolden(): { readonly golden: StatsGolden; readonly tensor: (name: string) => ArrayBuffer } {
  const golden = JSON.parse(readFileSync(new URL('stats.json', import.meta.url), 'utf8')) as StatsGolden;
  const bytes = new Uint8Array(readFileSync(new URL('stats.safetensors', import.meta.url)));
  const entries = parseSafetensors(bytes, 'stats.safetensors');
  const tensor = (name: string): ArrayBuffer => {
    const entry = entries.get(name);
    if (!entry) throw new Error(`stats.safetensors has no ${name}`);
    return bytes.slice(entry.start, entry.end).buffer;
  };
  return { golden, tensor };
}

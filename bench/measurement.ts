import type { Engine } from '../src/engine/engine.ts';
import type { WebGpuHost } from '../src/engine/webgpu/host.ts';
import type { ModelFiles } from '../src/model/model.ts';
import type { LoadOptions } from '../src/engine/options.ts';
import type { DeviceKind } from '../test/vulkan.ts';
import type { GpuBytes } from './gpu-bytes.ts';
import type { Spread } from './spread.ts';

/** What a measurement works with, in the child process of one device. */
export interface Bench {
  readonly device: DeviceKind;
  readonly host: WebGpuHost;
  /** Buffers of every device that `host` gave. */
  readonly gpuBytes: GpuBytes;
  readonly folder: string;
  readonly files: ModelFiles;
  readonly load: LoadOptions;
  /** Rounds of side-by-side runs. */
  readonly rounds: number;
  readonly quick: boolean;
  /** The engine that measurements share: loaded on first use. */
  engine(): Promise<Engine>;
  say(line: string): void;
}

/** A row of a table: cells by column. */
export type Row = readonly string[];

/** One thing that `npm run bench` measures. `about` is null where no model is involved. */
export interface Measurement<Result> {
  readonly name: string;
  readonly title: string;
  readonly of: 'device' | 'model';
  /** Columns of the table, after adapter and model. */
  readonly columns: readonly string[];
  run(bench: Bench): Promise<Result>;
  readonly rows: (result: Result) => readonly Row[];
}

/** `123 (120 to 130)`: the median with its quartiles. */
export function show({ median, low, high }: Spread, digits?: number): string {
  const text = (value: number): string => number(value, digits);
  return `${text(median)} (${text(low)} to ${text(high)})`;
}

/** Three significant digits unless told how many decimals. */
export function number(value: number, digits?: number): string {
  if (digits !== undefined) return value.toFixed(digits);
  const size = Math.abs(value);
  return size >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(3);
}

/** Token ids that make no sense but take as long as any: the same for the same variant, other from the second on for another. */
export function promptIds(vocab: number, length: number, variant: number, bos: number | null): number[] {
  const first = Math.min(3, vocab - 1);
  return Array.from({ length }, (_, i) =>
    i === 0 && bos !== null ? bos : first + ((i * 7919 + (variant + 1) * 104729) % (vocab - first)),
  );
}

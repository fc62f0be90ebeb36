import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Quantization } from '../src/model/weights.ts';
import type { Context } from './results.ts';
import type { SteeringResult } from './steering.ts';

/** What loading the exact shape of a model, with random weights, took. */
export interface ShapeResult {
  readonly name: string;
  readonly quantization: Quantization;
  readonly adapter: string;
  readonly parameters: number;
  readonly context: Context;
  readonly bindingLimit: number;
  readonly weightBytes: number;
  readonly peakBytes: number;
  readonly largestBuffer: number;
  readonly residentBytes: number;
  /** Matrices that lie in more than one buffer. */
  readonly split: readonly { readonly label: string; readonly parts: number; readonly rows: readonly number[] }[];
  readonly loadMs: number;
  readonly firstTokenMs: number;
  readonly stepMs: number;
  /** Bytes of weights that one step reads, and bytes that a copy on the device moves a second, reading and writing counted. Absent in older results. */
  readonly readBytes?: number;
  readonly copyBytesPerSecond?: number;
  readonly dispatches: number;
  readonly submits: number;
  readonly tokens: readonly number[];
  readonly kernels: readonly string[];
  /** Null where it was not asked for. */
  readonly steering: SteeringResult | null;
}

export interface ShapesFile {
  readonly models: readonly ShapeResult[];
}

const path = fileURLToPath(new URL('results/shapes.json', import.meta.url));

export function readShapes(): ShapesFile | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ShapesFile;
  } catch {
    return null;
  }
}

/** Puts a model's result in the place of the one of the same name and adapter. */
export async function saveShape(result: ShapeResult): Promise<void> {
  const others = (readShapes()?.models ?? []).filter((one) => one.name !== result.name || one.adapter !== result.adapter);
  const models = [...others, result].sort((a, b) => (a.name < b.name ? 1 : -1));
  await mkdir(new URL('results/', import.meta.url), { recursive: true });
  await writeFile(path, `${JSON.stringify({ models }, null, 1)}\n`);
}

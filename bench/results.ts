import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AdapterInfo } from '../src/engine/engine.ts';
import type { Quantization } from '../src/model/weights.ts';

/** Under what a number was measured. */
export interface Context {
  /** Day, in UTC. */
  readonly date: string;
  readonly versions: { readonly tiller: string; readonly webgpu: string; readonly node: string };
  /** Processes that wanted a core, over the last minute: before and after. Above `cores` the machine was shared. */
  readonly load: readonly [number, number];
  readonly rounds: number;
}

export interface Measured<Result = unknown> {
  readonly context: Context;
  readonly result: Result;
}

/** The model that numbers are about; null for what is measured without one. */
export interface BenchModel {
  readonly name: string;
  readonly family: string;
  readonly parameters: number;
  readonly layers: number;
  readonly heads: number;
  readonly quantization: Quantization;
  readonly precision: 'f16' | 'f32' | 'int8';
  readonly identity: string;
}

export interface Run {
  readonly model: BenchModel | null;
  readonly measurements: Readonly<Record<string, Measured>>;
}

/** bench/results/<adapter>.json: everything that was measured on one adapter of one machine. */
export interface ResultFile {
  readonly adapter: AdapterInfo;
  /** Driver of the tests that this is: lavapipe, swiftshader or hardware. */
  readonly device: string;
  readonly machine: { readonly processor: string; readonly cores: number; readonly memoryGiB: number; readonly system: string };
  readonly runs: readonly Run[];
}

const folder = fileURLToPath(new URL('results/', import.meta.url));

/** `llvmpipe: Mesa 25.0 (LLVM 15)` becomes `llvmpipe-mesa-25-0-llvm-15`. */
export const slug = (adapter: string): string =>
  adapter
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60);

const sameModel = (a: BenchModel | null, b: BenchModel | null): boolean =>
  a === b || (a !== null && b !== null && a.name === b.name && a.quantization === b.quantization && a.precision === b.precision);

/** A result file with a run put in: what the run did not measure anew stays. */
export function withRun(file: ResultFile, run: Run): ResultFile {
  const old = file.runs.find((one) => sameModel(one.model, run.model));
  const merged: Run = { model: run.model, measurements: { ...old?.measurements, ...run.measurements } };
  const runs = old ? file.runs.map((one) => (one === old ? merged : one)) : [...file.runs, merged];
  return { ...file, runs };
}

/** Writes runs of one adapter beside those that are there. Returns the path. */
export async function saveRuns(head: Omit<ResultFile, 'runs'>, runs: readonly Run[]): Promise<string> {
  const path = join(folder, `${slug(head.adapter.name)}.json`);
  const old = await readFile(path, 'utf8').then(
    (text) => JSON.parse(text) as ResultFile,
    () => null,
  );
  const file = runs.reduce(withRun, { ...head, runs: old?.runs ?? [] });
  await mkdir(folder, { recursive: true });
  await writeFile(path, `${JSON.stringify(file, rounded, 1)}\n`);
  return path;
}

/** Five significant digits are more than any of these measurements has. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;

/** Every result file, software adapters after hardware, then by name. */
export function readResults(): ResultFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'shapes.json');
  } catch {
    return [];
  }
  const order = (file: ResultFile): string => `${file.adapter.kind} ${file.device}`;
  return names
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as ResultFile)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

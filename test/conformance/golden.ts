import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSafetensors, tensorF32 } from '../../src/formats/safetensors.ts';
import type { Vector, VectorTable } from '../../src/graph/document.ts';
import { parseConfig } from '../../src/model/config.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { TensorDtype, WeightSource } from '../../src/model/weights.ts';

/** The folders of test/goldens and what is in them; test/goldens/README.md describes the numbers. */
export const goldenRoot = new URL('../goldens/', import.meta.url).pathname;

/** One edit of a golden case, in the words of its own files. */
export interface GoldenEdit {
  readonly op: 'add' | 'scale_masked' | 'ablate' | 'clamp_projection' | 'cap_projection' | 'set' | 'mean_replace' | 'zero' | 'gated_add';
  readonly hook: string;
  readonly layer: number | null;
  readonly positions: { readonly policy: string; readonly start?: number; readonly end?: number; readonly indices?: readonly number[] };
  readonly heads?: readonly number[];
  readonly vector?: string;
  readonly scale?: number;
  readonly sigma?: number | readonly number[];
  readonly delta?: number;
  readonly value?: number | readonly number[];
  readonly gate?: {
    readonly hook: string;
    readonly layer: number | null;
    readonly head?: number;
    readonly vector: string;
    readonly threshold: number;
    readonly at: 'same' | 'last_prompt';
  };
}

export interface GoldenCase {
  readonly name: string;
  readonly interventions: readonly GoldenEdit[];
}

export interface GoldenFile {
  readonly name: string;
  readonly family: string;
  readonly sequences: readonly (readonly number[])[];
  /** Of trained models: what follows each prompt of `sequences`. */
  readonly continuations?: readonly (readonly number[])[];
  readonly prompt_lens: readonly number[];
  readonly new_tokens: number;
  readonly tolerances: {
    readonly logits_abs: number;
    readonly logprobs_abs: number;
    readonly hooks_abs: number;
    readonly hooks_rel?: number;
  };
  readonly measured: { readonly half_rounded_weights_logit_diff?: number };
  readonly interventions: readonly GoldenCase[];
}

export interface Golden {
  readonly file: GoldenFile;
  readonly vectors: VectorTable;
  readonly expected: VectorTable;
}

export interface GoldenModel {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
}

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8')) as unknown;

export function goldenFile(name: string): GoldenFile {
  return json(join(goldenRoot, name, 'case.json')) as GoldenFile;
}

/** Names of all cases, in the order of index.json. */
export function goldenNames(): string[] {
  const index = json(join(goldenRoot, 'index.json')) as { cases: { name: string }[] };
  return index.cases.map((entry) => entry.name);
}

export function tensors(path: string): Record<string, Vector> {
  const bytes = new Uint8Array(readFileSync(path));
  return Object.fromEntries(
    [...parseSafetensors(bytes, path)].map(([name, entry]) => [name, { shape: entry.shape, data: tensorF32(bytes, entry) }]),
  );
}

export function loadGolden(name: string): Golden {
  const folder = join(goldenRoot, name);
  return {
    file: goldenFile(name),
    vectors: tensors(join(folder, 'vectors.safetensors')),
    expected: tensors(join(folder, 'expected.safetensors')),
  };
}

/** The entry of a table of expected values; a missing one is a mistake in the test. */
export function entry(table: VectorTable, name: string): Vector {
  if (!(name in table)) throw new Error(`no expected value "${name}"`);
  return table[name];
}

/** Row of an expected [rows, width]. */
export function row(vector: Vector, index: number): Float32Array {
  const width = vector.shape[vector.shape.length - 1];
  return vector.data.subarray(index * width, (index + 1) * width);
}

/** A folder with config.json and model.safetensors as a spec and a source. */
export function loadModelFolder(folder: string): GoldenModel {
  const path = join(folder, 'model.safetensors');
  const bytes = new Uint8Array(readFileSync(path));
  return { spec: parseConfig(json(join(folder, 'config.json'))), source: bytesSource(bytes, path) };
}

export function loadGoldenModel(name: string): GoldenModel {
  return loadModelFolder(join(goldenRoot, name));
}

/** A safetensors file in memory as a source. */
export function bytesSource(bytes: Uint8Array, file: string): WeightSource {
  const entries = parseSafetensors(bytes, file);
  return {
    tensors: new Map([...entries].map(([name, { dtype, shape }]) => [name, { name, dtype: dtype as TensorDtype, shape }])),
    identity: file.slice(file.lastIndexOf('goldens')),
    read: (name, start, end) => {
      const found = entries.get(name);
      if (!found) return Promise.reject(new Error(`no tensor ${name} in ${file}`));
      return Promise.resolve(bytes.slice(found.start + start, found.start + end));
    },
  };
}

/** A source with some tensors replaced by f32 arrays. */
export function replaceTensors(source: WeightSource, replaced: ReadonlyMap<string, Float32Array>): WeightSource {
  return {
    tensors: new Map([...source.tensors].map(([name, info]) => [name, replaced.has(name) ? { ...info, dtype: 'F32' as const } : info])),
    identity: `${source.identity}, ${replaced.size} tensors replaced`,
    read: async (name, start, end, signal) => {
      const data = replaced.get(name);
      return data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(start, end) : source.read(name, start, end, signal);
    },
  };
}

/** Where scripts/embedded-model.ts puts the embedded model, in the order looked at; null when it has not been made. */
export function embeddedModelFolder(): string | null {
  const root = new URL('../../', import.meta.url).pathname;
  const places = [process.env.TILLER_EMBEDDED_MODEL, join(root, 'models/stories15M'), join(root, 'public/models/stories15M')];
  return places.find((place) => place !== undefined && existsSync(join(place, 'model.safetensors'))) ?? null;
}

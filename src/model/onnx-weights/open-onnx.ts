import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { TillerError } from '../../errors/error.ts';
import { ProtoFile } from '../../formats/protobuf.ts';
import type { FileAccess } from '../files.ts';
import { rowSource, type RowTensor } from '../row-tensors.ts';
import type { ModelSpec } from '../spec.ts';
import type { WeightSource } from '../weights.ts';
import { Constants } from './constants.ts';
import { findDecoderWeights, type NamedWeights } from './decoder.ts';
import { GraphIndex } from './graph-index.ts';
import { readOnnxGraph, type OnnxGraph } from './onnx-graph.ts';
import { TensorData } from './tensor-data.ts';
import type { Weight } from './weight.ts';

export interface OnnxWeights {
  readonly source: WeightSource;
  /** Bytes of the ONNX file and of the files with its data. */
  readonly bytes: number;
  readonly notes: readonly string[];
  /** How matrices are stored, the commonest first. */
  readonly types: readonly string[];
}

const SAMPLE_BYTES = 65536;

/** The graph of an ONNX file and the places of its tensors, checked. */
async function readModel(files: FileAccess, path: string, signal?: AbortSignal): Promise<{ graph: OnnxGraph; data: TensorData }> {
  const size = await files.size(path, signal);
  if (size === null) throw new TillerError('model/not-found', { place: files.name, problem: `${path} is not there` });
  const file = new ProtoFile((start, end) => files.read(path, start, end, signal), size, path, signal);
  const graph = await readOnnxGraph(file, path);
  return { graph, data: await TensorData.open(files, path, graph.constants.values(), signal) };
}

/** The ONNX file and the files that its tensors lie in. @throws model/not-found, model/file, network/failed */
export async function onnxFileNames(files: FileAccess, path: string, signal?: AbortSignal): Promise<readonly string[]> {
  return (await readModel(files, path, signal)).data.paths;
}

/**
 * The weights of an ONNX export of a decoder, under the names of the Hugging Face checkpoint it was made from. Reads the graph now and
 * weights later, by ranges.
 * @param path of the .onnx file; files with external data are looked for beside it
 * @param spec of its config.json: an ONNX file does not say what model it is
 * @throws model/not-found, model/file, network/failed
 */
export async function openOnnxWeights(files: FileAccess, path: string, spec: ModelSpec, signal?: AbortSignal): Promise<OnnxWeights> {
  const { graph, data } = await readModel(files, path, signal);
  const index = new GraphIndex(graph);
  const constants = new Constants(index, data);
  const { weights, notes } = findDecoderWeights(index, constants, spec, path);
  const tensors = new Map([...weights].map(([name, weight]) => [name, rowTensor(name, weight)]));
  return {
    source: rowSource(tensors, await identityOf(files, data.paths, signal), path),
    bytes: data.bytes,
    notes,
    types: matrixKinds(weights),
  };
}

function rowTensor(name: string, weight: Weight): RowTensor {
  const { rows, cols, dtype } = weight;
  const vector = /(norm\.weight|\.bias)$/.test(name);
  return {
    info: { name, shape: vector ? [rows * cols] : [rows, cols], dtype },
    rows: (first, count, signal) => weight.read(first, count, signal),
  };
}

/** Of every file its size and both ends: the graph is at the beginning, and weights of two models differ at the end. */
async function identityOf(files: FileAccess, paths: readonly string[], signal?: AbortSignal): Promise<string> {
  const digest = sha256.create();
  for (const path of paths) {
    const size = (await files.size(path, signal)) ?? 0;
    digest.update(new TextEncoder().encode(`${size}\n`));
    digest.update(await files.read(path, 0, Math.min(size, SAMPLE_BYTES), signal));
    digest.update(await files.read(path, Math.max(0, size - SAMPLE_BYTES), size, signal));
  }
  return `sampled-sha256:${bytesToHex(digest.digest())}`;
}

function matrixKinds(weights: NamedWeights): string[] {
  const sizes = new Map<string, number>();
  for (const { rows, cols, kind } of weights.values()) if (rows > 1) sizes.set(kind, (sizes.get(kind) ?? 0) + rows * cols);
  return [...sizes].sort(([, a], [, b]) => b - a).map(([kind]) => kind);
}

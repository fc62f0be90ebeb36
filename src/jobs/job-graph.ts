import { TillerError } from '../errors/error.ts';
import { base64, fromBase64 } from '../formats/base64.ts';
import { sha256Hex } from '../graph/sha256.ts';
import type { BoundGraph, GraphDocument, Vector } from '../graph/document.ts';
import { bindGraph, writeGraph } from '../graph/vectors.ts';
import { parseGraph } from '../graph/schema.ts';
import { floatsOf } from '../captures/stored-table.ts';
import type { JobDocument } from './job.ts';

/** A graph as jobs hold it: vectors of more than 1,024 numbers by hash, and beside it the values (base64 of little-endian f32) by hash. */
export interface JobGraph {
  readonly graph: GraphDocument;
  readonly tensors: Readonly<Record<string, string>>;
}

export function jobGraph(bound: BoundGraph): JobGraph {
  const graph = parseGraph(JSON.parse(writeGraph(bound).json));
  const tensors: Record<string, string> = {};
  for (const [name, entry] of Object.entries(graph.vectors ?? {}))
    if ('sha256' in entry) tensors[entry.sha256] = base64(bytesOf(bound.vectors[name].data));
  return { graph, tensors };
}

function bytesOf(data: Float32Array): Uint8Array {
  const bytes = new Uint8Array(data.byteLength);
  const view = new DataView(bytes.buffer);
  data.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

/** Hashes of the vectors that a job's graph keeps beside it, each once. */
export function neededTensors(job: JobDocument): string[] {
  const graph = job.kind === 'fit' ? null : job.graph;
  return [...new Set(Object.values(graph?.vectors ?? {}).flatMap((entry) => ('sha256' in entry ? [entry.sha256] : [])))];
}

/** @throws jobs/tensor where the text is no base64 or its bytes have another hash */
export function tensorBytes(hash: string, text: string): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes === null) throw new TillerError('jobs/tensor', { hash, problem: 'it is not base64' });
  const got = sha256Hex(bytes);
  if (got !== hash) throw new TillerError('jobs/tensor', { hash, problem: `its bytes have the hash ${got}` });
  return bytes;
}

/**
 * The graph with its vectors.
 * @param tensors little-endian f32 values by hash
 * @throws graph/vector
 */
export function boundJobGraph(graph: GraphDocument, tensors: ReadonlyMap<string, Uint8Array>): BoundGraph {
  const vectors: Record<string, Vector> = {};
  for (const [name, entry] of Object.entries(graph.vectors ?? {})) {
    const bytes = 'sha256' in entry ? tensors.get(entry.sha256) : undefined;
    if (bytes) vectors[name] = { shape: entry.shape, data: floatsOf(bytes.slice()) };
  }
  return bindGraph(graph, vectors);
}

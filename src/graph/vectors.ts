import { TillerError } from '../errors/error.ts';
import { jsonTrouble } from '../formats/json.ts';
import { parseSafetensors, tensorF32, writeSafetensors } from '../formats/safetensors.ts';
import { inlineData } from './canonical.ts';
import type { BoundGraph, GraphDocument, GraphNode, InlineVector, StoredVector, Vector, VectorTable } from './document.ts';
import { vectorHash } from './hash.ts';
import { invalid } from './invalid.ts';
import { graphLimits } from './limits.ts';
import type { ModelShape } from './points.ts';
import { refProblem, rowRef, vectorRefs } from './references.ts';
import { parseGraph } from './schema.ts';

const problem = (name: string, text: string): TillerError => new TillerError('graph/vector', { name, problem: text });
const product = (shape: readonly number[]): number => shape.reduce((all, n) => all * n, 1);
const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** Numbers that may stay in the document when it is written; longer vectors go to the safetensors file. */
const inlineLimit = 1024;

/**
 * A document with its vectors at hand. Tensors that the document does not name are left alone.
 * @param tensors what lies beside the document, by name; null when nothing does
 * @throws graph/vector where one is missing, has another shape or hash, holds a number that is not finite, or lacks a row that a node names
 */
export function bindGraph(document: GraphDocument, tensors: VectorTable | null): BoundGraph {
  const vectors: Record<string, Vector> = {};
  for (const [name, entry] of Object.entries(document.vectors ?? {})) vectors[name] = bindVector(name, entry, tensors);
  for (const node of document.nodes) {
    for (const { ref } of vectorRefs(node)) {
      const wrong = refProblem(document, ref);
      if (wrong !== null) throw problem(rowRef(ref).name, `${wrong} (node "${node.id}")`);
    }
  }
  return { document, vectors };
}

function bindVector(name: string, entry: StoredVector | InlineVector, tensors: VectorTable | null): Vector {
  const { shape } = entry;
  if ('data' in entry) {
    if (entry.data.length !== product(shape))
      throw problem(name, `${entry.data.length} values do not fill the shape [${shape.join(', ')}]`);
    const data = inlineData(entry.data);
    checkFinite(name, data);
    return { shape: [...shape], data };
  }
  if (!tensors || !Object.hasOwn(tensors, name))
    throw problem(name, tensors ? 'is not in the file of vectors' : 'is stored beside the document, but no file of vectors came with it');
  const tensor = tensors[name];
  if (!sameShape(tensor.shape, shape))
    throw problem(name, `has shape [${tensor.shape.join(', ')}], the document says [${shape.join(', ')}]`);
  if (tensor.data.length !== product(shape))
    throw problem(name, `${tensor.data.length} values do not fill the shape [${shape.join(', ')}]`);
  checkFinite(name, tensor.data);
  const sha256 = vectorHash(tensor);
  if (sha256 !== entry.sha256) throw problem(name, `has the SHA-256 ${sha256}, the document says ${entry.sha256}`);
  return tensor;
}

function checkFinite(name: string, data: Float32Array): void {
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw problem(name, `value ${bad} is ${data[bad]}, not a finite f32 number`);
}

/**
 * A graph from its two files.
 * @param json text of `x.json`
 * @param safetensors bytes of `x.safetensors`, or null when there is none
 * @throws graph/invalid, graph/too-large, graph/vector, model/file (for a damaged safetensors file)
 */
export function readGraph(json: string, safetensors: Uint8Array | null): BoundGraph {
  const document = parseGraph(parseJson(json));
  const stored = Object.entries(document.vectors ?? {}).filter(([, entry]) => 'sha256' in entry);
  if (safetensors === null || stored.length === 0) return bindGraph(document, null);
  const entries = parseSafetensors(safetensors, 'the vectors of the graph');
  const tensors: Record<string, Vector> = {};
  for (const [name] of stored) {
    const entry = entries.get(name);
    if (!entry) continue;
    if (entry.dtype !== 'F32') throw problem(name, `is stored as ${entry.dtype}, expected F32`);
    tensors[name] = { shape: entry.shape, data: tensorF32(safetensors, entry) };
  }
  return bindGraph(document, tensors);
}

function parseJson(json: string): unknown {
  if (json.length > graphLimits.textLength)
    throw new TillerError('graph/too-large', { what: 'the text', got: json.length, limit: graphLimits.textLength });
  const text = json.startsWith('\uFEFF') ? json.slice(1) : json;
  // JSON.parse would keep the last of two equal keys and say nothing. Depth is for the schema to judge.
  const trouble = jsonTrouble(text, Infinity);
  if (trouble !== null) throw invalid([], trouble);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid([], `this is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The two files of a graph. Inline vectors of up to 1024 numbers stay inline; `safetensors` is null when nothing needs it. Identity is kept. */
export function writeGraph(bound: BoundGraph): { json: string; safetensors: Uint8Array | null } {
  const vectors: Record<string, StoredVector | InlineVector> = {};
  const tensors: { name: string; shape: readonly number[]; data: Float32Array }[] = [];
  for (const [name, entry] of Object.entries(bound.document.vectors ?? {})) {
    if ('data' in entry && entry.data.length <= inlineLimit) {
      vectors[name] = entry;
      continue;
    }
    const { shape, data } = bound.vectors[name];
    vectors[name] = { shape, sha256: vectorHash({ data }) };
    tensors.push({ name, shape, data });
  }
  return { json: graphText({ ...bound.document, vectors }), safetensors: tensors.length === 0 ? null : writeSafetensors(tensors) };
}

/** One node and one vector a line, so that a person can read it and a version control system can compare it. */
function graphText({ tiller, name, model, vectors, nodes }: GraphDocument): string {
  const parts = [`"tiller": ${tiller}`];
  if (name !== undefined) parts.push(`"name": ${JSON.stringify(name)}`);
  parts.push(`"model": ${JSON.stringify(model)}`);
  const entries = Object.entries(vectors ?? {}).map(([key, entry]) => `    ${JSON.stringify(key)}: ${JSON.stringify(entry)}`);
  if (entries.length > 0) parts.push(`"vectors": {\n${entries.join(',\n')}\n  }`);
  parts.push(nodes.length === 0 ? '"nodes": []' : `"nodes": [\n${nodes.map((node) => `    ${JSON.stringify(node)}`).join(',\n')}\n  ]`);
  return `{\n${parts.map((part) => `  ${part}`).join(',\n')}\n}\n`;
}

/**
 * A graph made by a program: nodes and the arrays they name. Computes the hashes and checks the whole as a document from outside is.
 * @throws graph/invalid, graph/too-large, graph/vector
 */
export function buildGraph(parts: {
  readonly name?: string;
  readonly model: ModelShape;
  readonly nodes: readonly GraphNode[];
  readonly vectors?: VectorTable;
}): BoundGraph {
  const { family, layers, heads, kvHeads, headDim, hidden, intermediate } = parts.model;
  const stored = Object.fromEntries(
    Object.entries(parts.vectors ?? {}).map(([name, vector]) => [name, { shape: vector.shape, sha256: vectorHash(vector) }]),
  );
  const document = parseGraph({
    tiller: 1,
    ...(parts.name === undefined ? {} : { name: parts.name }),
    model: { family, layers, heads, kvHeads, headDim, hidden, intermediate },
    ...(Object.keys(stored).length === 0 ? {} : { vectors: stored }),
    nodes: parts.nodes,
  });
  return bindGraph(document, parts.vectors ?? null);
}

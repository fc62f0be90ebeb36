import { deflateSync, Inflate } from 'fflate';
import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import type { BoundGraph, Vector } from '../graph/document.ts';
import { parseGraph } from '../graph/schema.ts';
import { bindGraph } from '../graph/vectors.ts';
import type { Experiment } from './experiment.ts';
import type { Palette } from './palette.ts';

/**
 * A whole experiment as text: in a link's hash (compressed) and in the browser's storage (plain). Vectors travel as base64 of their
 * little-endian f32 bytes. A link carries the recipe of the palette and the vectors of the graph, not the palette's other rows.
 */

/** Larger than any experiment that fits a link; a link that unpacks to more is refused before it fills memory. */
const unpackedLimit = 8 * 1024 * 1024;

const finite = v.pipe(v.number(), v.finite());
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const base64 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/));
const text = v.pipe(v.string(), v.maxLength(1_000_000));

const recipe = v.variant('kind', [
  v.strictObject({ kind: v.literal('texts'), towards: text, away: text }),
  v.strictObject({ kind: v.literal('word'), word: text }),
  v.strictObject({ kind: v.literal('random'), seed: whole }),
  v.strictObject({ kind: v.literal('file'), name: text }),
  v.strictObject({ kind: v.literal('fit'), name: text, made: text }),
]);

const palette = v.strictObject({
  recipe,
  note: text,
  layers: whole,
  heads: whole,
  headDim: whole,
  madeOn: v.exactOptional(v.strictObject({ identity: text, label: text })),
  relevance: v.optional(base64),
  data: v.optional(base64),
});

const place = v.variant('kind', [
  v.strictObject({ kind: v.literal('embedded'), name: text }),
  v.strictObject({ kind: v.literal('served'), name: text }),
  v.strictObject({ kind: v.literal('hub'), name: text }),
  v.strictObject({ kind: v.literal('url'), url: text }),
  v.strictObject({ kind: v.literal('stored'), name: text }),
  v.strictObject({ kind: v.literal('runner'), address: v.pipe(text, v.url()), name: text }),
]);

const packed = v.strictObject({
  v: v.literal(1),
  model: v.strictObject({
    place,
    quantization: v.picklist(['none', 'q8', 'q4', 'suggested']),
    precision: v.picklist(['auto', 'f32', 'f16']),
  }),
  input: v.strictObject({ mode: v.picklist(['text', 'chat']), prompt: text, system: text }),
  sampling: v.strictObject({
    temperature: v.pipe(finite, v.minValue(0), v.maxValue(10)),
    topK: whole,
    topP: v.pipe(finite, v.minValue(0), v.maxValue(1)),
    seed: whole,
  }),
  maxTokens: v.pipe(whole, v.minValue(1), v.maxValue(4096)),
  strength: finite,
  more: v.pipe(v.array(finite), v.maxLength(7)),
  tokens: v.unknown(),
  graph: v.nullable(v.strictObject({ document: v.unknown(), vectors: v.record(v.string(), base64) })),
  palette: v.nullable(palette),
});

type Packed = v.InferOutput<typeof packed>;

const toBase64 = (bytes: Uint8Array): string => {
  let binary = '';
  for (let start = 0; start < bytes.length; start += 8192) binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(binary);
};
const fromBase64 = (encoded: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));

const packFloats = (data: Float32Array): string => {
  const view = new DataView(new ArrayBuffer(data.length * 4));
  data.forEach((value, i) => view.setFloat32(i * 4, value, true));
  return toBase64(new Uint8Array(view.buffer));
};
const unpackFloats = (encoded: string): Float32Array => {
  const bytes = fromBase64(encoded);
  if (bytes.length % 4 !== 0) throw new TillerError('file/unreadable', { file: 'the experiment', problem: 'a vector is cut short' });
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
};

/** @param options.palette also keep every row of the palette: for the browser's storage, not for links */
export function packExperiment(experiment: Experiment, options: { palette: boolean }): Packed {
  const { model, input, sampling, maxTokens, steering } = experiment;
  const { graph, strength, more, tokens } = steering;
  const from = steering.palette;
  return {
    v: 1,
    model: { ...model, place: { ...model.place } },
    input: { ...input },
    sampling: { ...sampling },
    maxTokens,
    strength,
    more: [...more],
    tokens,
    graph: graph && {
      document: graph.document,
      vectors: Object.fromEntries(Object.entries(graph.vectors).map(([name, vector]) => [name, packFloats(vector.data)])),
    },
    palette: from && {
      recipe: { ...from.recipe },
      note: from.note,
      layers: from.layers,
      heads: from.heads,
      headDim: from.headDim,
      ...(from.madeOn ? { madeOn: { ...from.madeOn } } : {}),
      ...(options.palette ? { relevance: packFloats(from.relevance), data: packFloats(from.data) } : {}),
    },
  };
}

const unreadable = (problem: string): TillerError => new TillerError('file/unreadable', { file: 'the experiment', problem });

function unpackGraph(graph: NonNullable<Packed['graph']>): BoundGraph {
  const document = parseGraph(graph.document);
  const tensors: Record<string, Vector> = {};
  for (const [name, row] of Object.entries(document.vectors ?? {})) {
    if (Object.hasOwn(graph.vectors, name)) tensors[name] = { shape: row.shape, data: unpackFloats(graph.vectors[name]) };
  }
  return bindGraph(document, tensors);
}

function unpackPalette(from: NonNullable<Packed['palette']>): Palette {
  const rows = from.layers * from.heads;
  const data = from.data === undefined ? new Float32Array(0) : unpackFloats(from.data);
  const relevance = from.relevance === undefined ? new Float32Array(0) : unpackFloats(from.relevance);
  const full = data.length === rows * from.headDim && relevance.length === rows;
  if (!full && data.length + relevance.length > 0) throw unreadable('the directions do not have the size they should have');
  const { recipe, note, layers, heads, headDim, madeOn } = from;
  return { recipe, note, layers, heads, headDim, ...(madeOn ? { madeOn } : {}), data, relevance };
}

/** Checks everything: links and stored text are input. @throws file/unreadable, graph/invalid, graph/vector */
export function unpackExperiment(value: unknown): Experiment {
  const result = v.safeParse(packed, value);
  if (!result.success) {
    const issue = result.issues[0];
    throw unreadable(`${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`);
  }
  const { model, input, sampling, maxTokens, strength, more, graph } = result.output;
  const bound = graph && unpackGraph(graph);
  return {
    model,
    input,
    sampling,
    maxTokens,
    steering: {
      graph: bound,
      palette: result.output.palette && unpackPalette(result.output.palette),
      tokens: parseSelector(result.output.tokens),
      strength,
      more,
    },
  };
}

/** True for a palette that arrived as a recipe only and has to be computed again before other heads can be added. */
export const isRecipeOnly = (from: Palette): boolean => from.data.length === 0;

const prefix = '1.';

/** The text after `run=` in a link. */
export function encodeLink(experiment: Experiment): string {
  const json = new TextEncoder().encode(JSON.stringify(packExperiment(experiment, { palette: false })));
  return (
    prefix +
    toBase64(deflateSync(json, { level: 9 }))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')
  );
}

/** @throws file/unreadable and what `unpackExperiment` throws */
export function decodeLink(link: string): Experiment {
  if (!link.startsWith(prefix)) throw unreadable('the link was made by another version');
  let json = '';
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    let size = 0;
    const inflate = new Inflate((chunk, final) => {
      size += chunk.length;
      if (size > unpackedLimit) throw unreadable('the link unpacks to more than any experiment has');
      json += decoder.decode(chunk, { stream: !final });
    });
    const bytes = fromBase64(link.slice(prefix.length).replaceAll('-', '+').replaceAll('_', '/'));
    for (let start = 0; start < bytes.length; start += 4096)
      inflate.push(bytes.subarray(start, start + 4096), start + 4096 >= bytes.length);
  } catch (cause) {
    if (cause instanceof TillerError) throw cause;
    throw unreadable('the link is cut short or damaged');
  }
  return unpackExperiment(parseJson(json));
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw unreadable('the link is cut short or damaged');
  }
}

/** The selector of newly selected heads goes through the graph's own schema. */
function parseSelector(tokens: unknown): Experiment['steering']['tokens'] {
  const probe = { tiller: 1, model: shapeOfOne, nodes: [{ id: 'probe', edit: 'scale', at: { point: 'resid_pre', layer: 0 }, tokens }] };
  const [node] = parseGraph(probe).nodes;
  return node.tokens;
}

const shapeOfOne = { family: 'llama', layers: 1, heads: 1, kvHeads: 1, headDim: 1, hidden: 1, intermediate: 1 };

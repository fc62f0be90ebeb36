import * as v from 'valibot';
import type { CaptureRequest } from '../../src/engine/engine.ts';
import type { CaptureBody, GenerateBody, ScoreBody } from '../../src/engine/remote/documents.ts';
import { capturePlaces, normalizeSequences, type RequestLimits } from '../../src/engine/request.ts';
import { selectedPositions } from '../../src/engine/rows.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { GraphDocument, Selector, Vector } from '../../src/graph/document.ts';
import { pointNames, pointWidth } from '../../src/graph/points.ts';
import { graphSchemaParts, parseGraph } from '../../src/graph/schema.ts';
import { compileSelector } from '../../src/graph/selector.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { RunnerLimits } from './config.ts';
import type { TensorStore } from './tensor-store.ts';
import type { SentGraph, Work } from './engine-protocol.ts';

/** From what a client sends to what an engine's process gets: sizes counted, graphs parsed, vectors fetched by hash. */

function atMost(what: string, got: number, limit: number): void {
  if (got > limit) throw new TillerError('runner/too-large', { what, got, limit });
}

const invalid = (problem: string): TillerError => new TillerError('request/invalid', { problem });

/** A graph document with its vectors from the store. @throws graph/invalid, graph/too-large, runner/tensor, runner/too-large */
export async function readSentGraph(value: unknown, tensors: TensorStore, limits: RunnerLimits): Promise<SentGraph | null> {
  if (value === null || value === undefined) return null;
  const document = parseGraph(value);
  return { document, vectors: await storedVectors(document, tensors, limits) };
}

async function storedVectors(document: GraphDocument, tensors: TensorStore, limits: RunnerLimits): Promise<Record<string, Vector>> {
  const stored = Object.entries(document.vectors ?? {}).flatMap(([name, entry]) => ('sha256' in entry ? [{ name, ...entry }] : []));
  const bytes = stored.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, n) => product * n, 1), 0);
  atMost('the vectors of the graph, in bytes,', bytes, limits.graph);
  const read = new Map<string, Float32Array>();
  const vectors: Record<string, Vector> = {};
  for (const { name, shape, sha256 } of stored) {
    const data = read.get(sha256) ?? (await tensors.values(sha256));
    read.set(sha256, data);
    vectors[name] = { shape, data };
  }
  return vectors;
}

/** What of a model requests are checked against, before it is loaded as after. */
export interface ServedLimits extends RequestLimits {
  readonly spec: ModelSpec;
}

export async function generateWork(body: GenerateBody, tensors: TensorStore, limits: RunnerLimits): Promise<Work> {
  atMost('the number of lanes', body.lanes?.length ?? 1, limits.lanes);
  atMost('maxTokens', body.maxTokens, limits.tokens);
  return { kind: 'generate', request: { ...body, graph: await readSentGraph(body.graph, tensors, limits) } };
}

function sequenceTokens(sequences: readonly { readonly ids: readonly number[] }[], limits: RunnerLimits): number {
  const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  atMost('the number of tokens of all sequences', tokens, limits.sequenceTokens);
  return tokens;
}

/** @throws request/invalid for a token that the model does not have */
export function checkWord(ids: readonly number[], { vocab }: ModelSpec): void {
  const wrong = ids.find((id) => id >= vocab);
  if (wrong !== undefined) throw invalid(`token ${wrong} is not in the vocabulary of ${vocab}`);
}

/** A rough size of one entry of a `top` list as JSON. */
const TOP_BYTES = 48;

/** @returns the work, and the bytes that its answer takes at most */
export async function scoreWork(
  body: ScoreBody,
  model: ServedLimits,
  tensors: TensorStore,
  limits: RunnerLimits,
): Promise<{ work: Work; bytes: number }> {
  const tokens = sequenceTokens(body.sequences, limits);
  const lanes = body.lanes?.length ?? 1;
  const bytes = 4 * tokens * (1 + 2 * lanes) + (body.logits ? 4 * tokens * model.vocab : 0) + 2 * TOP_BYTES * tokens * (body.top ?? 0);
  atMost('the answer, in bytes,', bytes, limits.answer);
  return { work: { kind: 'score', request: { ...body, graph: await readSentGraph(body.graph, tensors, limits) } }, bytes };
}

/** @returns the work, and the bytes of the arrays of its answer @throws request/invalid, request/context, runner/too-large */
export async function captureWork(
  body: CaptureBody,
  model: ServedLimits,
  tensors: TensorStore,
  limits: RunnerLimits,
): Promise<{ work: Work; bytes: number }> {
  const { spec, vocab } = model;
  sequenceTokens(body.sequences, limits);
  const parsed = v.safeParse(graphSchemaParts.selector, body.at ?? 'all', { abortEarly: true });
  if (!parsed.success) throw invalid(`"at" is no selector: ${parsed.issues[0].message}`);
  const at: Selector = parsed.output;
  const sequences = normalizeSequences(body.sequences, model);
  const points = pointNames.map((point) => ({ point, width: pointWidth(point, spec, vocab) }));
  const places = capturePlaces(body.points, { points, layers: spec.layers });
  const selector = compileSelector(at);
  const rows = sequences.reduce((sum, sequence) => sum + selectedPositions(selector, sequence).length, 0);
  const bytes = rows * places.reduce((sum, { width }) => sum + 4 * width, 0);
  atMost('the answer, in bytes,', bytes, limits.answer);
  const request: Omit<CaptureRequest, 'graph' | 'signal' | 'onProgress'> = { ...body, at };
  return { work: { kind: 'capture', request: { ...request, graph: await readSentGraph(body.graph, tensors, limits) } }, bytes };
}

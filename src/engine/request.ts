import { TillerError } from '../errors/error.ts';
import { compilePlan } from '../graph/compile.ts';
import type { BoundGraph, Lane, Role } from '../graph/document.ts';
import type { Plan } from '../graph/plan.ts';
import { pointRow, type ModelShape, type PointName } from '../graph/points.ts';
import { refusalError } from '../graph/refuse.ts';
import type { CaptureRequest, GenerateRequest, ModelInfo, ScoreRequest, SequenceInput } from './engine.ts';

/** What requests mean, the same in every engine: defaults filled in and every argument checked before any work is done. */

/** What of a model a request is checked against. */
export type RequestLimits = Pick<ModelInfo, 'vocab' | 'limits' | 'eosIds'>;

export interface NormalLane {
  readonly name: string;
  /** Empty: factor 0 on every node. */
  readonly strengths: Readonly<Record<string, number>>;
  readonly seed: number;
}

export interface NormalGenerate {
  readonly prompt: readonly number[];
  readonly roles: readonly (Role | null)[];
  readonly graph: BoundGraph | null;
  readonly lanes: readonly NormalLane[];
  readonly maxTokens: number;
  readonly stop: ReadonlySet<number>;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
}

export interface NormalSequence {
  readonly ids: readonly number[];
  readonly promptLength: number;
  readonly roles: readonly (Role | null)[];
}

const roles: readonly (Role | null)[] = ['user', 'assistant', 'system', 'template', null];

function invalid(problem: string): never {
  throw new TillerError('request/invalid', { problem });
}

function integer(value: unknown, name: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    invalid(`${name} must be a whole number from ${least} to ${most}, got ${String(value)}`);
  }
  return value;
}

function checkIds(ids: readonly number[], vocab: number, name: string): void {
  if (!Array.isArray(ids) || ids.length === 0) invalid(`${name} has no tokens`);
  ids.forEach((id, at) => integer(id, `${name}, token ${at},`, 0, vocab - 1));
}

function checkRoles(given: readonly (Role | null)[] | undefined, count: number, name: string): readonly (Role | null)[] {
  if (given === undefined) return [];
  if (given.length !== count) invalid(`${name} has ${count} tokens but ${given.length} roles`);
  for (const role of given) if (!roles.includes(role)) invalid(`${name} has an unknown role "${String(role)}"`);
  return given;
}

/** One unedited lane, and with a graph a second one with factor 1. */
export function defaultLanes(graph: BoundGraph | null): readonly Lane[] {
  return graph ? [{ name: 'as is' }, { name: 'steered', strengths: { '*': 1 } }] : [{ name: 'as is' }];
}

/** The lanes of a scoring or capture request: unedited first, then the graph at a factor. */
export function factorLanes(factor: number): readonly Lane[] {
  if (!Number.isFinite(factor)) invalid(`factor must be a finite number, got ${String(factor)}`);
  return [{ name: 'as is' }, { name: 'steered', strengths: { '*': factor } }];
}

/** Fills in names and seeds. Whether the strengths name edits of the graph is checked when the graph is compiled. */
export function normalizeLanes(lanes: readonly Lane[], seed: number, maxLanes: number): NormalLane[] {
  if (lanes.length === 0) invalid('there must be at least one lane');
  if (lanes.length > maxLanes) invalid(`${lanes.length} lanes, at most ${maxLanes} run at once`);
  return lanes.map((lane, index) => {
    const strengths = lane.strengths ?? {};
    const name = lane.name ?? (Object.keys(strengths).length === 0 ? 'as is' : `lane ${index}`);
    return { name, strengths, seed: lane.seed === undefined ? seed : integer(lane.seed, `the seed of lane ${index}`, 0, 0xffffffff) };
  });
}

/** Throws request/invalid or request/context. */
export function normalizeGenerate(request: GenerateRequest, model: RequestLimits): NormalGenerate {
  const { prompt } = request;
  checkIds(prompt, model.vocab, 'the prompt');
  const promptRoles = checkRoles(request.roles, prompt.length, 'the prompt');
  const maxTokens = integer(request.maxTokens, 'maxTokens', 1, Number.MAX_SAFE_INTEGER);
  const needed = prompt.length + maxTokens;
  if (needed > model.limits.maxContext) throw new TillerError('request/context', { needed, limit: model.limits.maxContext });
  const { temperature = 0, topK = 0, topP = 1, seed = 0 } = request.sampling ?? {};
  if (typeof temperature !== 'number' || !Number.isFinite(temperature) || temperature < 0) {
    invalid(`temperature must be a finite number of at least 0, got ${String(temperature)}`);
  }
  if (typeof topP !== 'number' || !(topP > 0 && topP <= 1)) invalid(`topP must be above 0 and at most 1, got ${String(topP)}`);
  integer(topK, 'topK', 0, Number.MAX_SAFE_INTEGER);
  integer(seed, 'the seed', 0, 0xffffffff);
  const stop = request.stop ?? model.eosIds;
  stop.forEach((id) => integer(id, 'a stop token', 0, Number.MAX_SAFE_INTEGER));
  const graph = request.graph ?? null;
  const lanes = normalizeLanes(request.lanes ?? defaultLanes(graph), seed, model.limits.maxLanes);
  return { prompt: [...prompt], roles: [...promptRoles], graph, lanes, maxTokens, stop: new Set(stop), temperature, topK, topP };
}

/** Throws request/invalid or request/context. */
export function normalizeSequences(sequences: readonly SequenceInput[], model: RequestLimits): NormalSequence[] {
  return sequences.map((sequence, index) => {
    const { ids } = sequence;
    checkIds(ids, model.vocab, `sequence ${index}`);
    if (ids.length > model.limits.maxContext) {
      throw new TillerError('request/context', { needed: ids.length, limit: model.limits.maxContext });
    }
    const promptLength = integer(sequence.promptLength ?? ids.length, `promptLength of sequence ${index}`, 1, ids.length);
    return { ids: [...ids], promptLength, roles: checkRoles(sequence.roles, ids.length, `sequence ${index}`) };
  });
}

/** Most edited conditions of one scoring request. */
export const MAX_SCORE_LANES = 4096;

/** A scoring request with its defaults. */
export interface NormalScore {
  readonly sequences: readonly NormalSequence[];
  readonly graph: BoundGraph | null;
  /** Lanes of the plan: the unedited one first, then the edited conditions; none of these without a graph. */
  readonly lanes: readonly Lane[];
  /** By sequence, position of the first scored token. */
  readonly from: readonly number[];
  /** By sequence, the rows [first, end) whose logits are looked at; a token is scored by the row before it. */
  readonly looked: readonly { readonly first: number; readonly end: number }[];
  /** False without a graph. */
  readonly kl: boolean;
  readonly top: number;
  readonly logits: boolean;
}

/**
 * Throws request/invalid or request/context.
 * @param mostTop most tokens that `top` may ask for
 */
export function normalizeScore(request: ScoreRequest, model: RequestLimits, mostTop: number): NormalScore {
  const sequences = normalizeSequences(request.sequences, model);
  const graph = request.graph ?? null;
  const { positions = 'all', logits = false } = request;
  if (positions !== 'all' && positions !== 'answer') invalid(`positions must be "all" or "answer", got "${String(positions)}"`);
  if (positions === 'answer') {
    const without = request.sequences.findIndex((sequence) => sequence.promptLength === undefined);
    if (without >= 0) invalid(`sequence ${without} has no promptLength, so its answer is nowhere; positions "answer" needs it`);
  }
  const top = integer(request.top ?? 0, 'top', 0, mostTop);
  const from = sequences.map((sequence) => (positions === 'answer' ? sequence.promptLength : 1));
  const looked = sequences.map(({ ids }, index) => {
    // Logits are given for every row; the row of the last token scores nothing, but has a next token to tell of.
    if (logits) return { first: 0, end: ids.length };
    return { first: from[index] - 1, end: top > 0 ? ids.length : ids.length - 1 };
  });
  return { sequences, graph, lanes: scoreLanes(request, graph), from, looked, kl: graph !== null && (request.kl ?? true), top, logits };
}

/** An unedited lane first, then those asked for. Sources (`from.lane`) see them by these numbers. */
function scoreLanes(request: ScoreRequest, graph: BoundGraph | null): readonly Lane[] {
  const { lanes, factor } = request;
  if (lanes === undefined) return graph ? factorLanes(factor ?? 1) : [{ name: 'as is' }];
  if (factor !== undefined) invalid('factor and lanes are both given; a lane has factors of its own');
  if (graph === null) invalid('lanes are given without a graph');
  const edited = normalizeLanes(lanes, 0, MAX_SCORE_LANES).map((lane, index) => ({
    name: lanes[index].name ?? `lane ${index + 1}`,
    strengths: lane.strengths,
  }));
  // A lane that the caller calls so keeps its name, so that a source finds one of them only.
  const taken = edited.some((lane) => lane.name === 'as is');
  return [{ name: taken ? 'unedited' : 'as is' }, ...edited];
}

/** The graph compiled for these lanes. Throws graph/refused or graph/model-mismatch with the first refusal. */
export function planFor(graph: BoundGraph | null, shape: ModelShape, vocab: number, lanes: readonly Lane[]): Plan {
  const { plan, refusals } = compilePlan({ graph, shape, vocab, lanes });
  if (refusals.length > 0) throw refusalError(refusals);
  return plan;
}

/** Throws request/aborted once the signal is set. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TillerError('request/aborted');
}

export interface CapturePlace {
  readonly point: PointName;
  /** -1 for points without a layer. */
  readonly layer: number;
  readonly width: number;
}

/** The places a capture asks for, in the order asked; layers absent means all of them. Throws request/invalid. */
export function capturePlaces(points: CaptureRequest['points'], model: Pick<ModelInfo, 'points' | 'layers'>): CapturePlace[] {
  const places: CapturePlace[] = [];
  const seen = new Set<string>();
  for (const { point, layers } of points) {
    const row = model.points.find((entry) => entry.point === point);
    if (!row) invalid(`the model has no point "${String(point)}"`);
    const perLayer = pointRow(point).perLayer;
    if (!perLayer && layers !== undefined) invalid(`the point "${point}" has no layers`);
    const wanted = perLayer ? (layers ?? Array.from({ length: model.layers }, (_, layer) => layer)) : [-1];
    for (const layer of wanted) {
      if (perLayer) integer(layer, `a layer of "${point}"`, 0, model.layers - 1);
      if (seen.has(`${point}/${layer}`)) invalid(`"${point}" of layer ${layer} is asked for twice`);
      seen.add(`${point}/${layer}`);
      places.push({ point, layer, width: row.width });
    }
  }
  if (places.length === 0) invalid('no points to capture');
  return places;
}

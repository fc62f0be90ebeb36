import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { PointName } from '../graph/points.ts';
import type { PlaceScore } from '../methods/method.ts';
import { patchingGraph, patchingReport, type PatchingGraph, type PatchingReport } from '../methods/patching.ts';
import { modelKey, stopIfAsked, type EvalRun } from './run.ts';
import { memoryUnits, unitKey } from './unit-store.ts';

/**
 * Activation patching, place by place (Vig et al., 2020; Meng et al., 2022): what one head wrote on the clean prompt is put in its place
 * while the model reads the corrupted prompt. How much of the clean answer comes back is what that head does.
 */
export interface PatchRequest {
  /** Token ids of both prompts, equally many. */
  readonly clean: readonly number[];
  readonly corrupted: readonly number[];
  /** What the clean prompt asks for, and what the corrupted one does: token ids after the prompt. */
  readonly wanted: readonly number[];
  readonly unwanted: readonly number[];
  /** `z` exchanges heads, other points of a layer whole rows. @default 'z' */
  readonly point?: PointName;
  /** Positions whose activations are exchanged. @default 'all' */
  readonly positions?: 'all' | 'last' | readonly number[];
}

/** One place patched. */
export interface PatchedPlace extends Pick<PlaceScore, 'layer' | 'head'> {
  /**
   * Log-probability of the wanted less the unwanted continuation, nats; for single tokens the difference of their logits. The report
   * says how much of the clean prompt's that is.
   */
  readonly difference: number;
}

export interface PatchResult extends PatchingReport {
  /** In order of layer and head. */
  readonly patched: readonly PatchedPlace[];
  /** Positions that were exchanged. Those before the first differing token are the same in both prompts and left out. */
  readonly positions: readonly number[];
}

export interface PatchRun extends EvalRun {
  /** Differences of the two unpatched runs, as soon as they are known. */
  readonly onEnds?: (ends: Pick<PatchResult, 'clean' | 'corrupted'>) => void;
  /** Places of a layer as soon as they are done. */
  readonly onPlaces?: (places: readonly PatchedPlace[]) => void;
  /** What a token looks like, for the error that shows prompts of unequal length. @default its id */
  readonly piece?: (id: number) => string;
}

/**
 * One run of the corrupted prompt for every place, those of a layer side by side.
 * @throws eval/prompt-lengths, eval/setting, method/data where the prompts do not differ in what they ask for, what the engine throws
 */
export async function patchPlaces(request: PatchRequest, run: PatchRun): Promise<PatchResult> {
  const { engine, signal } = run;
  const { clean, corrupted, wanted, unwanted, point = 'z' } = request;
  const positions = patchPositions(request, run.piece ?? String);
  const store = run.store ?? memoryUnits();
  const abort = signal ? { signal } : {};
  const key = (part: string | number): string =>
    unitKey({
      common: { unit: 'patch 1', model: modelKey(engine) },
      prompts: [[...clean], [...corrupted]],
      answers: [[...wanted], [...unwanted]],
      point,
      positions: [...positions],
      part,
    });
  const { layers } = engine.model;
  let done = 0;
  let reused = 0;
  const kept = async (name: string, make: () => Promise<number[]>): Promise<number[]> => {
    stopIfAsked(signal);
    const old = await store.get(name);
    const known = Array.isArray(old) && old.every((value): value is number => typeof value === 'number') ? old : null;
    const values = known ?? (await make());
    if (known === null) await store.set(name, values);
    else reused += 1;
    done += 1;
    run.onProgress?.({ done, total: layers + 1, reused });
    return values;
  };

  const [cleanDifference, corruptedDifference] = await kept(key('ends'), async () => {
    const texts = [clean, corrupted].flatMap((prompt) => continued(prompt, wanted, unwanted));
    const { sequences } = await engine.score({ sequences: texts, positions: 'answer', kl: false, ...abort });
    const sums = sequences.map(({ logprobs }) => sum(logprobs));
    return [sums[0] - sums[1], sums[2] - sums[3]];
  });
  run.onEnds?.({ clean: cleanDifference, corrupted: corruptedDifference });
  const patches = await cleanPatches();
  const patched: PatchedPlace[] = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const mine = patches.places.flatMap((place, index) => (place.layer === layer ? [index] : []));
    const differences = await kept(key(layer), async () => {
      const lanes = mine.map((index) => patches.lanes[index]);
      const sequences = continued(corrupted, wanted, unwanted);
      const scores = await engine.score({ sequences, graph: patches.graph, lanes, positions: 'answer', kl: false, ...abort });
      return lanes.map((_, lane) => sum(scores.sequences[0].lanes[lane].logprobs) - sum(scores.sequences[1].lanes[lane].logprobs));
    });
    const places = mine.map((index, i): PatchedPlace => ({ ...patches.places[index], difference: differences[i] }));
    patched.push(...places);
    run.onPlaces?.(places);
  }
  const differences = patched.map(({ difference }) => difference);
  const report = patchingReport(patches.places, { clean: cleanDifference, corrupted: corruptedDifference, patched: differences });
  return { ...report, patched, positions };

  async function cleanPatches(): Promise<PatchingGraph> {
    const { arrays } = await engine.capture({ sequences: [{ ids: clean }], points: [{ point }], at: { at: positions }, ...abort });
    return patchingGraph(engine.model, { point, positions, layers: arrays.map(({ data }) => data) });
  }
}

/** Positions to exchange, ascending, from the first differing token on. @throws eval/prompt-lengths, eval/setting */
export function patchPositions(
  { clean, corrupted, wanted, unwanted, positions = 'all' }: PatchRequest,
  piece: (id: number) => string,
): number[] {
  if (clean.length !== corrupted.length) {
    const show = (ids: readonly number[]): string => ids.map((id) => JSON.stringify(piece(id))).join(' ');
    throw new TillerError('eval/prompt-lengths', {
      clean: clean.length,
      corrupted: corrupted.length,
      tokens: `${show(clean)} against ${show(corrupted)}`.slice(0, 2000),
    });
  }
  if (clean.length === 0) throw setting('the prompts have no tokens');
  if (wanted.length === 0 || unwanted.length === 0) throw setting('an answer has no tokens');
  const first = clean.findIndex((id, at) => id !== corrupted[at]);
  if (first < 0) throw setting('the two prompts are the same');
  const last = clean.length - 1;
  const given = positions === 'all' ? clean.map((_, at) => at) : positions === 'last' ? [last] : positions;
  const outside = given.find((at) => !Number.isInteger(at) || at < 0 || at > last);
  if (outside !== undefined) throw setting(`the prompts have ${clean.length} tokens and no position ${outside}`);
  const kept = [...new Set(given)].filter((at) => at >= first).sort((a, b) => a - b);
  if (kept.length === 0) throw setting(`the prompts are the same up to position ${first}, so exchanging earlier activations does nothing`);
  return kept;
}

const setting = (problem: string): TillerError => new TillerError('eval/setting', { problem });
const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);

function continued(prompt: readonly number[], ...answers: readonly (readonly number[])[]): SequenceInput[] {
  return answers.map((answer) => ({ ids: [...prompt, ...answer], promptLength: prompt.length }));
}

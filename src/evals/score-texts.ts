import type { SequenceInput, SharedWork } from '../engine/engine.ts';
import { groupByGraph, laneFactors, type Condition, type GraphGroup } from './condition.ts';
import { modelKey, stopIfAsked, type EvalRun } from './run.ts';
import { memoryUnits, unitKey, type Json, type UnitStore } from './unit-store.ts';

/** A text under one condition, summed over its scored tokens. */
export interface TextScore {
  /** Log-probability of the scored tokens together, nats. */
  readonly sum: number;
  /** Tokens scored. */
  readonly tokens: number;
  /** KL(unedited || edited) summed over the same tokens' distributions, nats; 0 unedited, null where it was not asked for. */
  readonly kl: number | null;
  /** Edits applied, of all nodes together. */
  readonly edits: number;
}

export interface TextScores {
  /** By text. */
  readonly unedited: readonly TextScore[];
  /** By condition, then by text. */
  readonly conditions: readonly (readonly TextScore[])[];
  /** Of the requests that were run; nothing where all came out of the store. */
  readonly work: SharedWork;
}

export interface ScoreTextsOptions {
  /** `answer`: only tokens from promptLength on are summed. */
  readonly positions: 'all' | 'answer';
  readonly kl: boolean;
  /**
   * New tokens of one request, beginnings that texts share counted once: small enough that a stopped study loses little, large enough that
   * a beginning that all share is computed seldom. @default 512, or six times that beginning
   */
  readonly batchTokens?: number;
  /** Called when another tenth of the texts is scored under all conditions, the last time with all of them. */
  readonly onTenth?: (scores: PartialScores) => void;
}

/** Scores by text as far as they are there: a text has all of its scores or none. */
export interface PartialScores {
  readonly unedited: readonly (TextScore | null)[];
  readonly conditions: readonly (readonly (TextScore | null)[])[];
}

/** Texts of one request: what is stored and resumed is a batch under one condition. */
interface Batch {
  readonly texts: readonly SequenceInput[];
  /** Indices into the unique texts. */
  readonly members: readonly number[];
  readonly key: string;
}

/**
 * Scores texts under conditions and unedited, each pair once: equal texts are scored once, texts with a common beginning lie in one
 * request, all conditions of a graph are its lanes, and what the store has is not run. The numbers do not depend on any of that.
 * @throws what Engine.score throws
 */
export async function scoreTexts(
  texts: readonly SequenceInput[],
  conditions: readonly Condition[],
  options: ScoreTextsOptions,
  run: EvalRun,
): Promise<TextScores> {
  const { unique, placeOf } = distinct(texts);
  const batches = batchesOf(unique, options.batchTokens);
  const groups = groupByGraph(conditions);
  const table: (TextScore | null)[][] = [...conditions, null].map(() => unique.map(() => null));
  const unedited = conditions.length;
  const keep = new Keeper(run, options, conditions, groups);
  const total = unique.length * (conditions.length + 1);
  let done = 0;
  let reused = 0;
  const work = { positions: 0, computed: 0 };
  let texted = 0;
  const tell = (extra = 0): void => run.onProgress?.({ done: Math.min(total, done + extra), total, reused });
  const put = (row: number, batch: Batch, scores: readonly TextScore[], old: boolean): void => {
    batch.members.forEach((text, i) => (table[row][text] = scores[i]));
    done += batch.members.length;
    if (old) reused += batch.members.length;
  };

  for (const batch of batches) {
    stopIfAsked(run.signal);
    const missing = new Set<number>();
    for (let row = 0; row <= unedited; row += 1) {
      const stored = await keep.get(batch, row);
      if (stored) put(row, batch, stored, true);
      else missing.add(row);
    }
    tell();
    const wanted: { group: GraphGroup | null; rows: number[] }[] = groups
      .map((group) => ({ group, rows: group.members.filter((row) => missing.has(row)) }))
      .filter(({ rows }) => rows.length > 0);
    if (wanted.length === 0 && missing.has(unedited)) wanted.push({ group: null, rows: [] });
    for (const { group, rows } of wanted) {
      stopIfAsked(run.signal);
      const runs = rows.length + (missing.has(unedited) ? 1 : 0);
      const result = await run.engine.score({
        sequences: batch.texts,
        ...(group ? { graph: group.graph, lanes: rows.map((row) => conditions[row].lane) } : {}),
        positions: options.positions,
        kl: options.kl && group !== null,
        ...(run.signal ? { signal: run.signal } : {}),
        onProgress: (some, all) => tell(Math.floor((runs * batch.members.length * some) / Math.max(1, all))),
      });
      work.positions += result.work.positions;
      work.computed += result.work.computed;
      for (const [lane, row] of rows.entries()) {
        const scores = result.sequences.map(({ lanes }): TextScore => {
          const { logprobs, kl, edits } = lanes[lane];
          return { sum: sum(logprobs), tokens: logprobs.length, kl: kl && sum(kl), edits: sum(Object.values(edits)) };
        });
        put(row, batch, scores, false);
        await keep.set(batch, row, scores);
      }
      if (missing.delete(unedited)) {
        const scores = result.sequences.map(({ logprobs }): TextScore => {
          return { sum: sum(logprobs), tokens: logprobs.length, kl: options.kl ? 0 : null, edits: 0 };
        });
        put(unedited, batch, scores, false);
        await keep.set(batch, unedited, scores);
      }
      tell();
    }
    const before = Math.floor((10 * texted) / unique.length);
    texted += batch.members.length;
    if (options.onTenth && Math.floor((10 * texted) / unique.length) > before) {
      const rows = table.map((row) => placeOf.map((place) => row[place]));
      options.onTenth({ unedited: rows[unedited], conditions: rows.slice(0, unedited) });
    }
  }
  const rows = table.map((row) => placeOf.map((place) => row[place] ?? unscored()));
  return { unedited: rows[unedited], conditions: rows.slice(0, unedited), work };
}

function unscored(): never {
  throw new Error('a text was not scored');
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i += 1) total += values[i];
  return total;
}

/** What is kept of a batch: [sum, tokens, kl, edits] by text. */
class Keeper {
  private readonly store: UnitStore;
  private readonly common: Json;
  private readonly conditionKeys: readonly Json[];

  constructor(run: EvalRun, { positions, kl }: ScoreTextsOptions, conditions: readonly Condition[], groups: readonly GraphGroup[]) {
    this.store = run.store ?? memoryUnits();
    this.common = { unit: 'text scores 1', model: modelKey(run.engine), positions, kl };
    const keys: Json[] = [...conditions, null].map(() => null);
    for (const { sha256, members } of groups) {
      for (const member of members) keys[member] = { graph: sha256, factors: laneFactors(conditions[member]) };
    }
    this.conditionKeys = keys;
  }

  private key(batch: Batch, row: number): string {
    return unitKey({ common: this.common, texts: batch.key, condition: this.conditionKeys[row] });
  }

  async get(batch: Batch, row: number): Promise<TextScore[] | null> {
    const value = await this.store.get(this.key(batch, row));
    if (!Array.isArray(value) || value.length !== batch.texts.length) return null;
    const scores: TextScore[] = [];
    for (const entry of value as unknown[]) {
      if (!Array.isArray(entry) || entry.length !== 4) return null;
      const [total, tokens, kl, edits] = entry as unknown[];
      if (typeof total !== 'number' || typeof tokens !== 'number' || typeof edits !== 'number') return null;
      if (kl !== null && typeof kl !== 'number') return null;
      scores.push({ sum: total, tokens, kl, edits });
    }
    return scores;
  }

  async set(batch: Batch, row: number, scores: readonly TextScore[]): Promise<void> {
    // JSON has no infinities: such a batch is not kept and is run again.
    if (scores.some((score) => !Number.isFinite(score.sum) || !Number.isFinite(score.kl ?? 0))) return;
    await this.store.set(
      this.key(batch, row),
      scores.map(({ sum: total, tokens, kl, edits }) => [total, tokens, kl, edits]),
    );
  }
}

/** Equal texts once, in the order in which common beginnings are adjacent, and where each given text went. */
function distinct(texts: readonly SequenceInput[]): { unique: SequenceInput[]; placeOf: number[] } {
  const byKey = new Map<string, { text: SequenceInput; given: number[] }>();
  texts.forEach((text, index) => {
    const key = JSON.stringify([text.ids, text.promptLength ?? text.ids.length, text.roles ?? null]);
    const entry = byKey.get(key) ?? { text, given: [] };
    entry.given.push(index);
    byKey.set(key, entry);
  });
  const sorted = [...byKey.values()].sort((a, b) => compareTexts(a.text, b.text));
  const placeOf = new Array<number>(texts.length);
  sorted.forEach(({ given }, place) => given.forEach((index) => (placeOf[index] = place)));
  return { unique: sorted.map(({ text }) => text), placeOf };
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length += 1;
  return length;
}

function compareTexts(a: SequenceInput, b: SequenceInput): number {
  const at = commonLength(a.ids, b.ids);
  if (at < a.ids.length && at < b.ids.length) return a.ids[at] - b.ids[at];
  return a.ids.length - b.ids.length || (a.promptLength ?? 0) - (b.promptLength ?? 0);
}

/** Cuts sorted texts into batches; the cuts depend on the texts alone, so that a resumed study finds its units. */
function batchesOf(texts: readonly SequenceInput[], batchTokens: number | undefined): Batch[] {
  const shared = texts.length > 1 ? commonLength(texts[0].ids, texts[texts.length - 1].ids) : 0;
  const most = batchTokens ?? Math.max(512, 6 * shared);
  const batches: Batch[] = [];
  let members: number[] = [];
  let tokens = 0;
  const close = (): void => {
    if (members.length === 0) return;
    const chosen = members.map((member) => texts[member]);
    const key = unitKey(chosen.map(({ ids, promptLength, roles }) => [[...ids], promptLength ?? ids.length, roles ? [...roles] : null]));
    batches.push({ texts: chosen, members, key });
    members = [];
    tokens = 0;
  };
  texts.forEach((text, index) => {
    const before = members.length > 0 ? commonLength(texts[index - 1].ids, text.ids) : 0;
    if (members.length > 0 && tokens + text.ids.length - before > most) close();
    tokens += text.ids.length - (members.length > 0 ? before : 0);
    members.push(index);
  });
  close();
  return batches;
}

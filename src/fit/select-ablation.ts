import type { Engine, SequenceInput } from '../engine/engine.ts';
import type { Condition } from '../evals/condition.ts';
import { scoreTexts } from '../evals/score-texts.ts';
import type { UnitStore } from '../evals/unit-store.ts';
import { TillerError } from '../errors/error.ts';
import type { Reading } from '../examples/reading.ts';
import { buildGraph } from '../graph/vectors.ts';
import { behaviourScore, selectAblation, type AblationCandidate } from '../methods/ablation-selection.ts';
import type { Fitted } from '../methods/method.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { mean } from '../stats/moments.ts';

export interface AblationRequest {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly units: UnitStore;
  /** A fit of the method `ablation`: one entry of its ranking is one candidate. */
  readonly fitted: Fitted;
  /** Validation readings: label 1 shows the behaviour, label 0 does not. */
  readonly readings: readonly Reading[];
  /** Words that the behaviour begins with, such as `I cannot`; of each the first token counts. */
  readonly behaviour: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Chooses the direction to ablate by what ablating and adding it does (Arditi et al., 2024): every candidate is ablated on texts that show
 * the behaviour and on texts that do not, and added to the latter at the layer it comes from. The chosen candidate comes first in the
 * ranking; where every one breaks a rule the order stays, and that is said.
 * @throws eval/setting without words, eval/units where a class has no validation text, what Engine.score throws
 */
export async function selectAblationCandidate(request: AblationRequest): Promise<Fitted> {
  const { engine, fitted, readings, signal, units } = request;
  const starts = firstTokens(request);
  const wanted = readings.filter(({ label }) => label === 1);
  const others = readings.filter(({ label }) => label === 0);
  if (wanted.length === 0 || others.length === 0) throw new TillerError('eval/units', { what: 'validation text of each class' });
  const layers = fitted.ranking.map((ids) => sourceLayer(ids));
  const ablate = fitted.ranking.map((ids, index): Condition => ({
    name: `ablate ${index}`,
    graph: fitted.graph,
    lane: { strengths: Object.fromEntries(ids.map((id) => [id, 1])) },
  }));
  const add = additions(fitted, layers);
  const run = { engine, store: units, ...(signal ? { signal } : {}) };
  const total = 2;
  request.onProgress?.(0, total);
  const onWanted = await scoreTexts(nextTokens(wanted, starts), ablate, { positions: 'answer', kl: false }, run);
  request.onProgress?.(1, total);
  const onOthers = await scoreTexts(nextTokens(others, starts), [...ablate, ...add], { positions: 'answer', kl: true }, run);
  request.onProgress?.(2, total);
  const score = (rows: readonly { readonly sum: number }[]): number => meanScore(rows, starts.length);
  const candidates = layers.map((layer, index): AblationCandidate => {
    const kept = onOthers.conditions[index];
    return {
      layer,
      ablated: score(onWanted.conditions[index]),
      induced: score(onOthers.conditions[ablate.length + index]),
      // Every text is there once for each first token, with the same distribution before it.
      kl: mean(kept.filter((_, i) => i % starts.length === 0).map(({ kl }) => kl ?? 0)),
    };
  });
  const { chosen, dropped } = selectAblation(candidates, engine.model.layers);
  const { report } = fitted;
  const numbers = {
    ...report.numbers,
    behaviourUnedited: score(onWanted.unedited),
    candidateLayers: layers,
    candidateAblated: candidates.map(({ ablated }) => ablated),
    candidateInduced: candidates.map(({ induced }) => induced),
    candidateKl: candidates.map(({ kl }) => kl),
  };
  if (chosen === null) {
    const reasons = dropped.map((reason, index) => `layer ${layers[index]}: ${reason}`).join('; ');
    const note = `No candidate passes the published rules, so the one that tells the classes apart best is kept. ${reasons}.`;
    return { ...fitted, report: { ...report, numbers, notes: [...report.notes, note] } };
  }
  const order = [chosen, ...layers.keys()].filter((index, at, all) => all.indexOf(index) === at);
  const note = `The direction of layer ${layers[chosen]} was chosen: ablated, the behaviour's score falls from ${numbers.behaviourUnedited.toFixed(2)} to ${candidates[chosen].ablated.toFixed(2)}.`;
  return {
    ...fitted,
    ranking: order.map((index) => fitted.ranking[index]),
    report: { ...report, numbers, notes: [...report.notes, note] },
  };
}

function firstTokens({ behaviour, tokenizer }: AblationRequest): number[] {
  const tokens = behaviour.flatMap((word) => tokenizer.encode(word.trim(), { special: false }).slice(0, 1));
  if (tokens.length === 0) throw new TillerError('eval/setting', { problem: 'there are no words that the behaviour begins with' });
  return [...new Set(tokens)];
}

/** Every text up to the token that is read, followed by each of the tokens. */
const nextTokens = (readings: readonly Reading[], starts: readonly number[]): SequenceInput[] =>
  readings.flatMap(({ ids, position }) =>
    starts.map((token) => ({ ids: [...ids.slice(0, position + 1), token], promptLength: position + 1 })),
  );

/** Mean over texts of the score of the probability that one of the tokens follows. */
function meanScore(rows: readonly { readonly sum: number }[], starts: number): number {
  const scores: number[] = [];
  for (let at = 0; at < rows.length; at += starts) {
    const probability = rows.slice(at, at + starts).reduce((total, { sum }) => total + Math.exp(sum), 0);
    scores.push(behaviourScore(Math.min(1, probability)));
  }
  return mean(scores);
}

/** The layer that a candidate's direction comes from: its ids begin with `from.LAYER.`. */
function sourceLayer(ids: readonly string[]): number {
  const layer = Number(/^from\.(\d+)\./.exec(ids[0])?.[1]);
  if (!Number.isInteger(layer)) throw new TillerError('internal', { problem: `"${ids[0]}" is no edit of an ablation` });
  return layer;
}

/** Each candidate's direction added once, as it is, at the input of the layer that it comes from. */
function additions({ graph, ranking }: Fitted, layers: readonly number[]): Condition[] {
  const { document, vectors } = graph;
  const nodes = ranking.map((ids, index) => {
    const node = document.nodes.find(({ id }) => id === ids[0]);
    if (!node?.vector || (typeof node.vector === 'object' && 'from' in node.vector))
      throw new TillerError('internal', { problem: `"${ids[0]}" has no vector` });
    const at = { point: 'resid_pre', layer: layers[index] } as const;
    return { id: `add.${index}`, edit: 'add' as const, at, vector: node.vector, tokens: 'all' as const };
  });
  const added = buildGraph({ model: document.model, nodes, vectors });
  return nodes.map(({ id }, index) => ({ name: `add ${index}`, graph: added, lane: { strengths: { [id]: 1 } } }));
}

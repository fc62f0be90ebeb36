import type { BoundGraph, Selector } from '../graph/document.ts';
import type { Quantization } from '../model/weights.ts';
import type { Palette } from './palette.ts';

/** Where a model comes from. `embedded` and `served` lie next to the page; `stored` was dropped on the page and kept in the browser. */
export type ModelPlace =
  | { readonly kind: 'embedded'; readonly name: string }
  | { readonly kind: 'served'; readonly name: string }
  /** `owner/name[@revision][:file]` */
  | { readonly kind: 'hub'; readonly name: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'stored'; readonly name: string }
  /** A model of a runner, by the runner's address. The token for it is never a part of this: places go into links and receipts. */
  | { readonly kind: 'runner'; readonly address: string; readonly name: string };

export interface ModelChoice {
  readonly place: ModelPlace;
  /** `suggested` until the model is loaded: what suits its file. */
  readonly quantization: Quantization | 'suggested';
  readonly precision: 'auto' | 'f32' | 'f16';
}

export interface Input {
  readonly mode: 'text' | 'chat';
  readonly prompt: string;
  /** System message, in chat only; empty for none. */
  readonly system: string;
}

export interface SamplingChoice {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
}

/** What is steered and how strongly: the part of an experiment that undo and redo go through. */
export interface Steering {
  readonly graph: BoundGraph | null;
  /** Where heads that are selected get their directions from. */
  readonly palette: Palette | null;
  /** Tokens at which newly selected heads are steered. */
  readonly tokens: Selector;
  /** Factor on every strength of the graph in the steered lane. */
  readonly strength: number;
  /** Factors of further steered lanes. */
  readonly more: readonly number[];
}

/** Everything that makes a run: what a link carries and a reload keeps. */
export interface Experiment {
  readonly model: ModelChoice;
  readonly input: Input;
  readonly sampling: SamplingChoice;
  readonly maxTokens: number;
  readonly steering: Steering;
}

export const embedded: ModelChoice = { place: { kind: 'embedded', name: 'stories15M' }, quantization: 'none', precision: 'auto' };

export const emptySteering: Steering = { graph: null, palette: null, tokens: 'generated', strength: 1, more: [] };

export const defaultExperiment: Experiment = {
  model: embedded,
  input: { mode: 'text', prompt: 'Once upon a time, there was a little girl named Lily.', system: '' },
  sampling: { temperature: 0.7, topK: 0, topP: 0.95, seed: 7 },
  maxTokens: 48,
  steering: emptySteering,
};

/** Factors of all lanes: the unedited one, then the steered ones. Without a graph there is only the first. */
export const laneFactors = (steering: Steering): number[] => (steering.graph ? [0, steering.strength, ...steering.more] : [0]);

export const laneName = (index: number, factor: number): string => (index === 0 ? 'as is' : `steered ×${formatStrength(factor)}`);

/** A strength as it is written everywhere: at most two decimals, a real minus sign. */
export const formatStrength = (value: number): string => String(Math.round(value * 100) / 100).replace('-', '−');

export function placeLabel(place: ModelPlace): string {
  switch (place.kind) {
    case 'embedded':
    case 'served':
    case 'hub':
    case 'stored':
      return place.name;
    case 'url':
      return place.url;
    case 'runner':
      return `${place.name} on ${place.address.replace(/^https?:\/\//, '')}`;
  }
}

export const samePlace = (a: ModelPlace, b: ModelPlace): boolean => JSON.stringify(a) === JSON.stringify(b);

import type { CaptureTable } from '../captures/table.ts';
import type { Part } from '../examples/reading.ts';
import type { BoundGraph } from '../graph/document.ts';
import type { ModelShape, PointName } from '../graph/points.ts';

/** A label of a captured row. */
export interface FitRow {
  readonly label: 0 | 1;
  readonly group: string;
  /** -1 where rows are not paired. */
  readonly pair: number;
  readonly part: Part;
}

/** What a method sees: activations and labels. Rows of part `test` are never used by any method. */
export interface FitData {
  readonly shape: ModelShape;
  readonly rows: readonly FitRow[];
  /** Activations of the same rows, by point. A method finds the points it asked for in `Method.captures`. */
  readonly tables: Readonly<Partial<Record<PointName, CaptureTable>>>;
  /**
   * Activations of unlabelled texts that only measure spread (ITI's sigma from texts with a following question); rows of their own, made
   * from training and validation rows only. Absent: the labelled rows of train and validation are used.
   */
  readonly spread?: Readonly<Partial<Record<PointName, CaptureTable>>>;
  /**
   * Texts that say when to act, for conditional steering: label 1 where the intervention is wanted. Absent: the labelled rows say it.
   */
  readonly condition?: Pick<FitData, 'rows' | 'tables'>;
}

export interface FitContext {
  /** Uniform numbers in [0, 1), seeded. */
  readonly random: () => number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** One setting of a method: a row from which command line, page and documentation derive. */
export type SettingRow =
  | { readonly kind: 'number' | 'integer'; readonly default: number; readonly least: number; readonly most: number; readonly doc: string }
  | { readonly kind: 'choice'; readonly default: string; readonly options: readonly string[]; readonly doc: string }
  | { readonly kind: 'flag'; readonly default: boolean; readonly doc: string }
  | { readonly kind: 'selector'; readonly default: string; readonly doc: string };
export type Settings = Readonly<Record<string, number | string | boolean>>;

/** A place that a method judged: a head, a layer, a neuron. Everything JSON can hold: it goes into reports as it is. */
export interface PlaceScore {
  readonly layer: number;
  /** Absent for whole layers. */
  readonly head?: number;
  /** Absent unless single elements are chosen. */
  readonly element?: number;
  /** What places are ranked by, in the method's own unit; larger is better. */
  readonly score: number;
  /** Share of validation rows that a probe or threshold gets right, with its 95 % Wilson interval; absent where nothing was classified. */
  readonly accuracy?: number;
  readonly interval?: readonly [number, number];
  /** Rows the accuracy counts. */
  readonly count?: number;
}

export interface MethodReport {
  readonly method: string;
  readonly settings: Settings;
  /** In order of rank, best first. All places judged, or the first 4,096 of them. */
  readonly places: readonly PlaceScore[];
  /** What `score` is, a few words with its unit. */
  readonly scoreName: string;
  /** Plain sentences: what was scaled, left out, tied. */
  readonly notes: readonly string[];
  /** Further numbers of the method (sigma by node, chosen layer, threshold, explained variance, ...). */
  readonly numbers: Readonly<Record<string, number | string | readonly number[]>>;
}

export interface Fitted {
  /** All places that may be used, at the strength the settings ask for; strength 1 in a lane is the method's own dose. */
  readonly graph: BoundGraph;
  /** Ids of the edits in order of rank: the first K of them are what a run with K places uses. An entry may hold several ids that belong together. */
  readonly ranking: readonly (readonly string[])[];
  /** K that the settings ask for; at most ranking.length. */
  readonly chosen: number;
  /**
   * Ids of edits that belong to every condition with factor 1, however many places it uses and however strong it is (lane.ts makes such a
   * lane). @default none
   */
  readonly fixed?: readonly string[];
  readonly report: MethodReport;
}

export interface Method {
  readonly name: string;
  readonly title: string;
  /** One sentence for people, one line of source (paper, year). */
  readonly what: string;
  readonly source: string;
  /** `pairs`: rows must be paired; `labels`: both classes are enough. */
  readonly needs: 'labels' | 'pairs';
  readonly settings: Readonly<Record<string, SettingRow>>;
  /** Points and layers to capture for these settings; layers absent means all. */
  captures(settings: Settings, shape: ModelShape): readonly { readonly point: PointName; readonly layers?: readonly number[] }[];
  /** @throws method/data (too few rows, one class only, no pairs), method/settings, request/aborted */
  fit(data: FitData, settings: Settings, context: FitContext): Promise<Fitted>;
}

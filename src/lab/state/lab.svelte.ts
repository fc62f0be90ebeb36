import type { BoundGraph, Selector } from '../../graph/document.ts';
import type { ModelShape } from '../../graph/points.ts';
import { defaultExperiment, type Experiment, type Input, type ModelChoice, type SamplingChoice, type Steering } from '../experiment.ts';
import { headStrengths, repaint, retoken, setHeads, withoutNode, type HeadChange } from '../heads.ts';
import { redo, settle, startHistory, step, undo, type History } from '../history.ts';
import { topHeads, type Palette } from '../palette.ts';
import { packExperiment, unpackExperiment } from '../share.ts';
import { readStored, writeStored } from './stored.ts';

/** How many heads a fresh direction is given when none is selected: enough to see something, few enough to see which. */
export const firstHeads = 12;

/** The experiment on the page. Every change of the steering is a step that can be undone. */
class Lab {
  model = $state.raw<ModelChoice>(defaultExperiment.model);
  input = $state.raw<Input>(defaultExperiment.input);
  sampling = $state.raw<SamplingChoice>(defaultExperiment.sampling);
  maxTokens = $state(defaultExperiment.maxTokens);
  seedLocked = $state(true);
  #history = $state.raw<History<Steering>>(startHistory(defaultExperiment.steering));
  /** Called after each change of the steering that a person made. */
  onSteer: () => void = () => undefined;

  get steering(): Steering {
    return this.#history.present;
  }
  get canUndo(): boolean {
    return this.#history.past.length > 0;
  }
  get canRedo(): boolean {
    return this.#history.future.length > 0;
  }
  get experiment(): Experiment {
    return { model: this.model, input: this.input, sampling: this.sampling, maxTokens: this.maxTokens, steering: this.steering };
  }

  /** Puts a whole experiment on the page: a link, a recording. The steering before it can be undone to. */
  open(experiment: Experiment, options: { fresh: boolean }): void {
    this.model = experiment.model;
    this.input = experiment.input;
    this.sampling = experiment.sampling;
    this.maxTokens = experiment.maxTokens;
    this.#history = options.fresh ? startHistory(experiment.steering) : step(this.#history, experiment.steering);
  }

  /** What the last visit left; false when there is none. */
  restore(): boolean {
    const stored = readStored('experiment');
    if (stored === null) return false;
    try {
      this.open(unpackExperiment(stored), { fresh: true });
      return true;
    } catch {
      return false;
    }
  }

  keep(): boolean {
    return writeStored('experiment', packExperiment(this.experiment, { palette: true }));
  }

  #change(change: Partial<Steering>, mark: string | null = null): void {
    this.#history = step(this.#history, { ...this.steering, ...change }, mark);
    this.onSteer();
  }

  /** Ends a drag, so that the next one is a step of its own. */
  settle(): void {
    this.#history = settle(this.#history);
  }

  undo(): void {
    this.#history = undo(this.#history);
    this.onSteer();
  }

  redo(): void {
    this.#history = redo(this.#history);
    this.onSteer();
  }

  setStrength(strength: number, mark: string | null = null): void {
    if (strength !== this.steering.strength) this.#change({ strength }, mark);
  }

  setMore(more: readonly number[], mark: string | null = null): void {
    this.#change({ more }, mark);
  }

  setHeads(shape: ModelShape, changes: readonly HeadChange[], mark: string | null = null): void {
    const { graph, palette, tokens } = this.steering;
    const next = setHeads(graph, shape, palette, tokens, changes);
    this.#change({ graph: next }, mark);
  }

  setTokens(tokens: Selector): void {
    this.#change({ tokens, graph: retoken(this.steering.graph, tokens) });
  }

  /** Steers exactly the `count` most relevant heads, all with strength 1. */
  takeTop(shape: ModelShape, count: number): void {
    const { graph, palette, tokens } = this.steering;
    if (!palette) return;
    const none = [...headStrengths(graph).keys()].map((row) => change(shape, row, null));
    const top = topHeads(palette, count).map((row) => change(shape, row, 1));
    const bare = setHeads(graph, shape, null, tokens, none);
    this.#change({ graph: setHeads(bare, shape, palette, tokens, top) }, 'top');
  }

  clearHeads(shape: ModelShape): void {
    const { graph, tokens } = this.steering;
    const none = [...headStrengths(graph).keys()].map((row) => change(shape, row, null));
    this.#change({ graph: setHeads(graph, shape, null, tokens, none) });
  }

  /**
   * New directions. Heads that someone chose keep their strengths, and so do all of them under a random control; heads that were taken
   * for their relevance (or none at all) make room for the ones that are relevant now.
   */
  setPalette(shape: ModelShape, palette: Palette): void {
    const { graph, palette: before, tokens } = this.steering;
    const strengths = headStrengths(graph);
    const ranked = before ? topHeads(before, strengths.size) : [];
    const untouched = ranked.length === strengths.size && ranked.every((row) => strengths.get(row) === 1);
    if (strengths.size > 0 && (palette.recipe.kind === 'random' || !untouched)) {
      this.#change({ palette, graph: repaint(graph, palette, tokens) });
      return;
    }
    const bare = setHeads(
      graph,
      shape,
      null,
      tokens,
      [...strengths.keys()].map((row) => change(shape, row, null)),
    );
    const top = topHeads(palette, strengths.size || firstHeads).map((row) => change(shape, row, 1));
    this.#change({ palette, graph: setHeads(bare, shape, palette, tokens, top) });
  }

  /** Directions made again on a model of another shape, and its most relevant heads in place of those that were steered: one step. */
  refit(shape: ModelShape, palette: Palette): void {
    const { graph, tokens } = this.steering;
    const top = topHeads(palette, headStrengths(graph).size || firstHeads).map((row) => change(shape, row, 1));
    this.#change({ palette, graph: setHeads(null, shape, palette, tokens, top) });
  }

  /** The palette with its rows computed again, after a link brought only its recipe: not a step. */
  fillPalette(palette: Palette): void {
    this.#history = { ...this.#history, present: { ...this.steering, palette } };
  }

  /** @param strength of the steered lane. @default as it is */
  setGraph(graph: BoundGraph | null, palette: Palette | null, tokens: Selector, strength = this.steering.strength): void {
    this.#change({ graph, palette, tokens, strength });
  }

  removeNode(id: string): void {
    const { graph } = this.steering;
    if (graph) this.#change({ graph: withoutNode(graph, id) });
  }
}

const change = (shape: ModelShape, row: number, strength: number | null): HeadChange => ({
  layer: Math.floor(row / shape.heads),
  head: row % shape.heads,
  strength,
});

export const lab = new Lab();

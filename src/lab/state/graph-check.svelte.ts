import type { ErrorData } from '../../errors/error.ts';
import type { Refusal } from '../../graph/refusal.ts';
import { laneFactors } from '../experiment.ts';
import { graphFitness, type Fitness } from '../graph-fitness.ts';
import { lab } from './lab.svelte.ts';
import { asError, notices } from './notices.svelte.ts';
import { run } from './run.svelte.ts';
import { findSent, type SentFit } from './sent-fits.ts';
import { session } from './session.svelte.ts';

/** How the graph can be made again on another model. */
export type RefitWay =
  | { readonly kind: 'direction' }
  | { readonly kind: 'fit'; readonly sent: SentFit }
  /** `why` is a sentence. */
  | { readonly kind: 'none'; readonly why: string };

const unknownRecipe =
  'It came as a file, and a file does not say how it was made: with the examples it was fitted on, the Fit page makes a new one here.';
const notHere =
  'It came from a fit whose examples and recipe are not kept in this browser: bring the examples to the Fit page to make a new one here.';

/** Whether the graph on the page belongs to the model that is loaded, and what to do where it does not. */
class GraphCheck {
  /** What the engine cannot run of a graph that fits. */
  refusals = $state.raw<readonly Refusal[]>([]);
  way = $state.raw<RefitWay | null>(null);
  working = $state(false);
  error = $state.raw<ErrorData | null>(null);
  #asked = 0;

  get fitness(): Fitness | null {
    const { graph, palette } = lab.steering;
    const loaded = session.ready ? session.loaded : null;
    if (!graph || !loaded) return null;
    return graphFitness(graph, palette?.madeOn, { ...loaded.info, label: loaded.label });
  }

  /** To be called when a model has been loaded or the graph has become another one. */
  async look(): Promise<void> {
    const asked = ++this.#asked;
    const { graph, palette } = lab.steering;
    this.error = null;
    const kind = this.fitness?.kind;
    const refusals = graph && kind && kind !== 'shape' ? await session.client.check(graph, laneFactors(lab.steering)).catch(() => []) : [];
    const way = kind && kind !== 'fits' ? await wayOf(palette?.recipe ?? null) : null;
    if (this.#asked !== asked) return;
    this.refusals = refusals;
    this.way = way;
  }

  /** Makes the graph again on the loaded model, in the way that it was made. The old one is one Undo away. */
  async refit(): Promise<void> {
    const { way } = this;
    const { palette } = lab.steering;
    const { loaded } = session;
    if (this.working || !way || way.kind === 'none' || !loaded) return;
    this.working = true;
    this.error = null;
    try {
      if (way.kind === 'fit') {
        // The Fit page's part is loaded when it is needed first.
        const { fit } = await import('./fit.svelte.ts');
        if (!(await fit.refit(way.sent))) {
          this.error = fit.viewError ?? fit.error;
          return;
        }
      } else if (palette) {
        lab.refit(loaded.info, await session.client.direction(palette.recipe, null));
      }
      notices.say(`The graph has been made again on ${loaded.label}. Undo brings the old one back.`);
      run.soon(0);
    } catch (cause) {
      const error = asError(cause);
      session.noteLoss(error);
      this.error = error;
    } finally {
      this.working = false;
    }
  }
}

async function wayOf(recipe: NonNullable<typeof lab.steering.palette>['recipe'] | null): Promise<RefitWay> {
  switch (recipe?.kind) {
    case 'texts':
    case 'word':
    case 'random':
      return { kind: 'direction' };
    case 'fit': {
      const sent = await findSent(recipe.made);
      const whole = sent && (sent.result.choice.source.kind !== 'file' || sent.file !== null);
      return sent && whole ? { kind: 'fit', sent } : { kind: 'none', why: notHere };
    }
    default:
      return { kind: 'none', why: unknownRecipe };
  }
}

export const graphCheck = new GraphCheck();

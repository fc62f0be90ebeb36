import { neutralSets } from '../evals/neutral-texts.ts';
import { defaultRecipe, type Recipe, type SweepChoice } from '../fit/recipe.ts';
import type { ModelInfo } from '../engine/engine.ts';
import { scaledCount } from '../methods/places.ts';

/** How much of a sweep is tried. `auto` is quick where the model runs on a processor rather than on a GPU. */
export const efforts = ['auto', 'quick', 'full'] as const;
export type Effort = (typeof efforts)[number];

/** Of every 1,024 heads, the number that ITI moves by default (Li et al., 2023). */
const published = 48;
const quickStrengths = [0.125, 0.25, 0.5, 1];
const quickTexts = 4;
const quickCharacters = 240;
const quickSamples = 2;

/** Whether a sweep is a quick one. */
export const isQuick = (effort: Effort, adapter: Pick<ModelInfo['adapter'], 'kind'>): boolean =>
  effort === 'quick' || (effort === 'auto' && adapter.kind !== 'hardware');

type Model = Pick<ModelInfo, 'adapter' | 'layers' | 'heads'>;

/**
 * The recipe as it runs. What a person named stays; where nothing was named (empty lists), strengths and numbers of places are those of the
 * effort, and a quick sweep measures what it costs on the openings of a few of the built-in neutral texts.
 */
export function recipeFor(recipe: Recipe, effort: Effort, model: Model): Recipe {
  const { sweep } = recipe;
  if (!sweep) return recipe;
  const quick = isQuick(effort, model.adapter);
  const strengths =
    sweep.strengths.length > 0 ? sweep.strengths : quick ? quickStrengths : (defaultRecipe.sweep?.strengths ?? quickStrengths);
  const counts = sweep.counts.length > 0 || !quick ? sweep.counts : quickCounts(recipe, model);
  return {
    ...recipe,
    sweep: {
      ...sweep,
      strengths,
      counts,
      neutral: quick ? fewTexts(sweep.neutral) : sweep.neutral,
      ...(quick ? { samples: sweep.samples ?? quickSamples } : {}),
    },
  };
}

/** The method's own number of heads and twice that; for places that are no heads the fit chooses (empty). */
function quickCounts({ method, settings }: Recipe, { layers, heads }: Model): readonly number[] {
  if (method !== 'iti') return [];
  const all = layers * heads;
  const asked = typeof settings.heads === 'number' ? settings.heads : 0;
  const own = Math.min(all, asked > 0 ? asked : scaledCount(published, 1024, all));
  const held = typeof settings.hold === 'number' && settings.hold > 0 ? settings.hold : all;
  return [...new Set([own, Math.min(all, 2 * own)])].filter((count) => count === own || count <= held);
}

const fewTexts = (neutral: SweepChoice['neutral']): SweepChoice['neutral'] =>
  typeof neutral === 'object' ? neutral : { texts: neutralSets[neutral].texts.slice(0, quickTexts).map(opening) };

/** The first whole sentences of a text, some fifty words. */
export function opening(text: string): string {
  const sentences = text.match(/[^.!?]+[.!?]+["”’]?\s*/gu) ?? [text];
  let kept = '';
  for (const sentence of sentences) {
    if (kept !== '' && kept.length + sentence.length > quickCharacters) break;
    kept += sentence;
  }
  return kept.trim();
}

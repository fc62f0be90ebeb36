import type { Part } from '../examples/reading.ts';
import type { Effect } from './effect.ts';
import { sampleTexts, type Sample, type SamplePlan } from './samples.ts';
import { compileScorer, type TextScorer } from './text-scorer.ts';

/**
 * The effect as a scorer sees it in what the model writes: one value for every prompt.
 * @param groups of the prompts
 * @param decode token ids to text
 * @throws eval/scorer
 */
export function sampleEffect(
  part: Part,
  plan: SamplePlan,
  groups: readonly string[],
  scorer: TextScorer,
  decode: (ids: readonly number[]) => string,
): Effect {
  const score = compileScorer(scorer);
  const values = (samples: readonly Sample[]): number[] => samples.map(({ ids }) => score(decode(ids)));
  return {
    name: 'text-scorer',
    title: 'Score of generated text',
    unit: 'score',
    part,
    groups,
    notes: [],
    async measure(conditions, run) {
      const samples = await sampleTexts(plan, conditions, run);
      return {
        unedited: values(samples.unedited),
        conditions: samples.conditions.map(values),
        edits: samples.conditions.map((row) => row.reduce((total, { edits }) => total + edits, 0)),
      };
    },
  };
}

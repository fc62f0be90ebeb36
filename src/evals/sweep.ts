import { TillerError } from '../errors/error.ts';
import { laneStrengths } from '../methods/lane.ts';
import type { Fitted } from '../methods/method.ts';
import type { Condition, Damage, Estimate } from './condition.ts';
import { measureDamage } from './damage.ts';
import { byGroup, type Effect } from './effect.ts';
import { differenceEstimate, meanEstimate, type Resampling } from './estimate.ts';
import type { NeutralTexts } from './neutral-texts.ts';
import type { EvalProgress, EvalRun } from './run.ts';
import { sampleRepetition, sampleTexts, type SamplePlan, type SampleRepetition } from './samples.ts';

/** A fitted intervention with a name of its own: a method, a seed, a layer. */
export interface NamedFit {
  readonly name: string;
  readonly fitted: Fitted;
}

/** What every condition is measured by. */
export interface Measures {
  readonly effect: Effect;
  readonly neutral: NeutralTexts;
  /** Continuations whose repetition is measured. @default none */
  readonly samples?: SamplePlan;
  readonly resampling: Resampling;
}

/** A condition as numbers. */
export interface Measured {
  readonly effect: Estimate;
  /** Effect less the unedited model's, paired by unit. */
  readonly gain: Estimate;
  readonly damage: Damage;
  readonly repetition: SampleRepetition | null;
  /** Edits that acted while the effect was measured. */
  readonly edits: number;
}

/** One condition of a sweep; the first one is the unedited model with strength 0, no places and no name. */
export interface SweepPoint extends Measured {
  readonly fit: string;
  /** Factor on the method's own dose. */
  readonly strength: number;
  /** Places steered, the best first. */
  readonly count: number;
}

export interface SweepRequest extends Measures {
  readonly fits: readonly NamedFit[];
  /** Factors on the method's own dose; 0 is always measured and need not be among them. */
  readonly strengths: readonly number[];
  /** Numbers of places; what a fit has not so many of is left out and said. Empty: the method's own number. */
  readonly counts: readonly number[];
  /** Conditions measured side by side before the next ones are begun. @default 16 */
  readonly together?: number;
}

export interface Sweep {
  readonly request: SweepRequest;
  /** The unedited model first, then fit by fit, count by count, strength by strength. */
  readonly points: readonly SweepPoint[];
  /** By point; null for the unedited one. */
  readonly conditions: readonly (Condition | null)[];
  readonly notes: readonly string[];
}

/** Progress counts hundredths of conditions. */
export interface SweepRun extends EvalRun {
  /** Points as soon as they are measured, with their place in the result. */
  readonly onPoint?: (point: SweepPoint, index: number) => void;
}

/** The first `count` places of a fit at `strength` times its dose. */
export function conditionOf({ name, fitted }: NamedFit, strength: number, count: number): Condition {
  return {
    name: `${name}, ${count} places, strength ${strength}`,
    graph: fitted.graph,
    lane: { strengths: laneStrengths(fitted, strength, count) },
  };
}

/**
 * Effect, damage and repetition over a grid of strengths and numbers of places, on validation rows. Conditions of one graph run side by
 * side; what the store has is not run again; the numbers depend on neither.
 * @throws eval/setting, eval/part for an effect on other than validation rows, what the engine throws
 */
export async function runSweep(request: SweepRequest, run: SweepRun): Promise<Sweep> {
  if (request.effect.part !== 'validation') {
    throw new TillerError('eval/part', { got: request.effect.part, expected: 'validation', problem: 'a sweep chooses settings' });
  }
  const notes = [...request.effect.notes];
  const grid = gridOf(request, notes);
  const points: SweepPoint[] = [];
  const push = (point: SweepPoint): void => {
    points.push(point);
    run.onPoint?.(point, points.length - 1);
  };
  const progress = { total: 100 * (grid.length + 1), done: 0, reused: 0 };
  const size = Math.max(1, request.together ?? 16);
  const damageNotes = new Set<string>();
  for (let from = 0; from < Math.max(1, grid.length); from += size) {
    const some = grid.slice(from, from + size);
    // The unedited model is measured with the first conditions and looked up with the others.
    const share = from === 0 ? 1 : some.length / (some.length + 1);
    let last: EvalProgress = { done: 0, total: 0, reused: 0 };
    const step: EvalRun = {
      ...run,
      onProgress: (given) => {
        last = { ...given, done: Math.round(share * given.done), reused: Math.round(share * given.reused) };
        run.onProgress?.({ done: progress.done + last.done, total: progress.total, reused: progress.reused + last.reused });
      },
    };
    const measured = await measure(
      some.map(({ condition }) => condition),
      request,
      step,
    );
    progress.done += last.done;
    progress.reused += last.reused;
    measured.notes.forEach((note) => damageNotes.add(note));
    if (from === 0) push({ fit: '', strength: 0, count: 0, ...measured.unedited });
    some.forEach(({ fit, strength, count }, i) => push({ fit, strength, count, ...measured.conditions[i] }));
  }
  const idle = points.slice(1).filter(({ edits }) => edits === 0).length;
  if (idle > 0) notes.push(`In ${idle} conditions no edit acted on the validation texts: look at the token selector.`);
  return { request, points, conditions: [null, ...grid.map(({ condition }) => condition)], notes: [...notes, ...damageNotes] };
}

interface GridPoint {
  readonly fit: string;
  readonly strength: number;
  readonly count: number;
  readonly condition: Condition;
}

function gridOf({ fits, strengths, counts }: SweepRequest, notes: string[]): GridPoint[] {
  const fail = (problem: string): never => {
    throw new TillerError('eval/setting', { problem });
  };
  if (new Set(fits.map(({ name }) => name)).size !== fits.length) fail('two fits have the same name');
  for (const strength of strengths) if (!Number.isFinite(strength)) fail(`the strength ${strength} is not a finite number`);
  for (const count of counts)
    if (!Number.isInteger(count) || count < 1) fail(`a number of places must be a whole number of at least 1, got ${count}`);
  const factors = [...new Set(strengths)].filter((strength) => strength !== 0).sort((a, b) => a - b);
  return fits.flatMap((fit) => {
    const { ranking, chosen } = fit.fitted;
    const wanted = counts.length > 0 ? [...new Set(counts)].sort((a, b) => a - b) : [chosen];
    const possible = wanted.filter((count) => count <= ranking.length);
    if (possible.length < wanted.length) notes.push(`"${fit.name}" has ${ranking.length} places: larger numbers of places are left out.`);
    return possible.flatMap((count) =>
      factors.map((strength): GridPoint => ({ fit: fit.name, strength, count, condition: conditionOf(fit, strength, count) })),
    );
  });
}

export interface MeasuredConditions {
  readonly unedited: Measured;
  /** By condition. */
  readonly conditions: readonly Measured[];
  readonly notes: readonly string[];
}

/** Effect, damage and repetition of conditions and of the unedited model. Progress counts hundredths of conditions. */
export async function measure(conditions: readonly Condition[], measures: Measures, run: EvalRun): Promise<MeasuredConditions> {
  const { effect, neutral, samples: plan, resampling } = measures;
  const part = inParts(run, plan ? 3 : 2, conditions.length + 1);
  const values = await effect.measure(conditions, part(0));
  const damage = await measureDamage(neutral, conditions, resampling, part(1));
  const samples = plan ? await sampleTexts(plan, conditions, part(2)) : null;
  const before = byGroup(values.unedited, effect.groups);
  const of = (index: number | null): Measured => {
    const now = index === null ? before : byGroup(values.conditions[index], effect.groups);
    const texts = samples && (index === null ? samples.unedited : samples.conditions[index]);
    return {
      effect: meanEstimate(now, resampling),
      gain: differenceEstimate(now, before, resampling),
      damage: index === null ? damage.unedited : damage.conditions[index],
      repetition: texts && sampleRepetition(texts, resampling),
      edits: index === null ? 0 : values.edits[index],
    };
  };
  return { unedited: of(null), conditions: conditions.map((_, index) => of(index)), notes: damage.notes };
}

/** Runs that follow each other and together are `conditions` conditions, each counting as much: progress in hundredths of conditions. */
function inParts(run: EvalRun, parts: number, conditions: number): (part: number) => EvalRun {
  const reused = new Array<number>(parts).fill(0);
  const hundredths = (share: number): number => Math.round((100 * conditions * share) / parts);
  return (part) => ({
    ...run,
    onProgress: (progress) => {
      const all = Math.max(1, progress.total);
      reused[part] = progress.reused / all;
      run.onProgress?.({
        done: hundredths(part + progress.done / all),
        total: 100 * conditions,
        reused: hundredths(reused.reduce((a, b) => a + b, 0)),
      });
    },
  });
}

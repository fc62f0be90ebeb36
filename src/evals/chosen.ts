import { TillerError } from '../errors/error.ts';
import type { Fitted } from '../methods/method.ts';
import type { Condition, Estimate } from './condition.ts';
import { byGroup, type Effect } from './effect.ts';
import { differenceEstimate, meanEstimate } from './estimate.ts';
import { cliff, paretoFrontier, recommend, type Tradeoff } from './frontier.ts';
import { conditionOf, measure, type Measured, type Measures, type NamedFit, type Sweep, type SweepPoint } from './sweep.ts';
import type { EvalRun } from './run.ts';

/** What a sweep says, once it has run. */
export interface SweepReading {
  /** Indices into the sweep's points, by growing damage. */
  readonly frontier: readonly number[];
  /** Index into the sweep's points; 0, the unedited model, where nothing is worth its cost. */
  readonly recommended: number;
  /** Why, in a sentence. */
  readonly reason: string;
  /** Smallest strength of the recommended sign, fit and number of places (the method's own ones where nothing is recommended) at which the text falls apart. */
  readonly cliff: number | null;
}

/** @param klBudget nats a token that a recommended point may cost */
export function readSweep({ points, request }: Sweep, klBudget: number): SweepReading {
  if (!(klBudget >= 0))
    throw new TillerError('eval/setting', { problem: `the budget must be a number of nats of at least 0, got ${klBudget}` });
  const tradeoffs = points.map(({ gain, damage }): Tradeoff => ({ gain, kl: damage.kl.value }));
  const { index, reason } = recommend(tradeoffs, klBudget);
  const like = index > 0 ? points[index] : ownPlaces(points, request.fits);
  const line = points.filter(
    ({ fit, count, strength }) => like && fit === like.fit && count === like.count && Math.sign(strength) === Math.sign(like.strength),
  );
  const looping = ({ repetition }: Measured): number | null => repetition && repetition.looping.value;
  const steps = line.map((point) => ({
    strength: point.strength,
    kl: point.damage.kl.value,
    crossEntropyRise: point.damage.crossEntropyRise.value,
    looping: looping(point),
  }));
  return { frontier: paretoFrontier(tradeoffs), recommended: index, reason, cliff: cliff(steps, looping(points[0])) };
}

/** A point of the first fit at its own number of places, where there is one, of positive strength if possible. */
function ownPlaces(points: readonly SweepPoint[], fits: readonly NamedFit[]): SweepPoint | undefined {
  const mine = points.filter(({ fit }) => fit !== '' && fit === fits[0]?.name);
  const own = mine.filter(({ count }) => count === fits[0].fitted.chosen);
  const some = own.length > 0 ? own : mine;
  return some.find(({ strength }) => strength > 0) ?? some[0];
}

const made = Symbol('made by choosePoint');

/**
 * A point of a sweep that was decided for. Nothing else can be measured on test rows, and only `choosePoint` makes one: test rows cannot
 * be used to choose.
 */
export interface Chosen {
  readonly [made]: true;
  readonly point: SweepPoint;
  /** Null for the unedited model. */
  readonly condition: Condition | null;
  readonly fit: NamedFit | null;
  /** Groups of the validation units that it was chosen on. */
  readonly chosenOn: ReadonlySet<string>;
}

/** @param index into the sweep's points: the recommended one, or a person's own choice. @throws eval/setting */
export function choosePoint(sweep: Sweep, index: number): Chosen {
  const { points, conditions, request } = sweep;
  if (!Number.isInteger(index) || index < 0 || index >= points.length) {
    throw new TillerError('eval/setting', { problem: `the sweep has ${points.length} points and none with the index ${index}` });
  }
  const point = points[index];
  const fit = request.fits.find(({ name }) => index > 0 && name === point.fit) ?? null;
  return { [made]: true, point, condition: conditions[index], fit, chosenOn: new Set(request.effect.groups) };
}

/** The same places and dose with something else in them: an equal-norm random direction, other heads, the other sign. */
export interface Control {
  readonly name: string;
  readonly fitted: Fitted;
}

export interface TestRow extends Measured {
  /** `unedited`, `chosen`, and the names of the controls. */
  readonly name: string;
}

/** The unedited model with an instruction in front of every text. What it costs on neutral texts is not defined. */
export interface PromptOnly {
  readonly effect: Estimate;
  /** Less the unedited model without the instruction, over the units that both have. */
  readonly gain: Estimate;
}

export interface TestResult {
  readonly rows: readonly TestRow[];
  readonly promptOnly: PromptOnly | null;
  readonly notes: readonly string[];
}

/**
 * The chosen point, the unedited model and controls at the chosen strength and number of places, on test rows: once, for what was chosen.
 * @param prompted the same effect with an instruction in front of every text, measured unedited: the control `prompt only`
 * @throws eval/part for an effect on other than test rows, or with a group that the point was chosen on; what the engine throws
 */
export async function measureTest(
  chosen: Chosen,
  measures: Measures,
  controls: readonly Control[],
  run: EvalRun,
  prompted: Effect | null = null,
): Promise<TestResult> {
  for (const effect of prompted ? [measures.effect, prompted] : [measures.effect]) checkTest(effect, chosen);
  const { point, condition } = chosen;
  const names: string[] = [];
  const conditions: Condition[] = [];
  if (condition) {
    names.push('chosen', ...controls.map(({ name }) => name));
    conditions.push(
      condition,
      ...controls.map((control) => conditionOf(control, point.strength, Math.min(point.count, control.fitted.ranking.length))),
    );
  }
  const measured = await measure(conditions, measures, run);
  const rows: TestRow[] = [
    { name: 'unedited', ...measured.unedited },
    ...measured.conditions.map((row, i): TestRow => ({ name: names[i], ...row })),
  ];
  const notes = [...measures.effect.notes, ...measured.notes];
  if (!condition) notes.push('Nothing was recommended: only the unedited model is measured on test rows.');
  return { rows, promptOnly: prompted && (await measurePrompt(prompted, measures, run)), notes };
}

async function measurePrompt(prompted: Effect, { effect, resampling }: Measures, run: EvalRun): Promise<PromptOnly> {
  const values = async (of: Effect): Promise<Map<string, number>> => {
    const { unedited } = await of.measure([], run);
    const groups = [...new Set(of.groups)];
    return new Map(byGroup(unedited, of.groups).map((value, i) => [groups[i], value]));
  };
  const [now, before] = [await values(prompted), await values(effect)];
  const shared = [...now.keys()].filter((group) => before.has(group));
  if (shared.length === 0) throw new TillerError('eval/units', { what: 'test row that fits the context with the instruction in front' });
  const of = (from: ReadonlyMap<string, number>): number[] => shared.map((group) => from.get(group) ?? 0);
  return { effect: meanEstimate(of(now), resampling), gain: differenceEstimate(of(now), of(before), resampling) };
}

function checkTest(effect: Effect, { chosenOn }: Chosen): void {
  const fail = (problem: string): never => {
    throw new TillerError('eval/part', { got: effect.part, expected: 'test', problem });
  };
  if (effect.part !== 'test') fail('what was chosen is reported on test rows');
  const both = effect.groups.find((group) => chosenOn.has(group));
  if (both !== undefined) fail(`the group "${both.slice(0, 80)}" was also used to choose`);
}

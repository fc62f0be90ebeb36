import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import type { Part } from '../examples/reading.ts';
import type { PointName } from '../graph/points.ts';
import { graphOfCondition, groupByGraph, laneFactors, type Condition } from './condition.ts';
import type { Effect } from './effect.ts';
import { modelKey, stopIfAsked, type EvalRun } from './run.ts';
import { memoryUnits, unitKey, type Json } from './unit-store.ts';

/** Where and along what a probe reads. Below the edits it shows nothing, at them what was put in; it is meant for later layers. */
export interface Probe {
  readonly point: PointName;
  /** Absent for points without a layer. */
  readonly layer?: number;
  /** First of the columns that the direction stands for: head x head_dim for a head of `z`. @default 0 */
  readonly from?: number;
  /** Projections are onto it as it is: give a unit vector for activations' own units. */
  readonly direction: Float32Array;
}

/** A text with the position that is read. */
export interface ProbedText {
  readonly group: string;
  readonly text: SequenceInput;
  readonly position: number;
}

/**
 * The effect as a probe sees it: the projection of activations on a direction, one value for every text.
 * @throws eval/units, eval/setting where the direction does not fit
 */
export function projectionEffect(part: Part, texts: readonly ProbedText[], probe: Probe): Effect {
  if (texts.length === 0) throw new TillerError('eval/units', { what: `${part} text to read activations of` });
  return {
    name: 'probe-shift',
    title: 'Projection of activations on the direction',
    unit: 'activation',
    part,
    groups: texts.map(({ group }) => group),
    notes: [],
    async measure(conditions, run) {
      const keys: Json[] = conditions.map(() => null);
      for (const { sha256, members } of groupByGraph(conditions))
        for (const member of members) keys[member] = { graph: sha256, factors: laneFactors(conditions[member]) };
      const rows = [];
      const total = (conditions.length + 1) * texts.length;
      for (const [index, condition] of [null, ...conditions].entries()) {
        const progress = (some: number): void => run.onProgress?.({ done: index * texts.length + some, total, reused: 0 });
        rows.push(await project(texts, probe, condition, condition ? keys[index - 1] : null, run, progress));
      }
      const [unedited, ...edited] = rows;
      return { unedited: unedited.values, conditions: edited.map(({ values }) => values), edits: edited.map(({ edits }) => edits) };
    },
  };
}

interface Projected {
  readonly values: number[];
  readonly edits: number;
}

async function project(
  texts: readonly ProbedText[],
  probe: Probe,
  condition: Condition | null,
  conditionKey: Json,
  run: EvalRun,
  progress: (done: number) => void,
): Promise<Projected> {
  const { engine, signal } = run;
  const { point, layer, from = 0, direction } = probe;
  const store = run.store ?? memoryUnits();
  // Edits that do not act leave no graph, and a graph must have an edit.
  const edited = condition && graphOfCondition(condition);
  const graph = edited && edited.document.nodes.length > 0 ? edited : null;
  const places = new Map<number, number[]>();
  texts.forEach(({ position }, index) => places.set(position, [...(places.get(position) ?? []), index]));
  const values = new Array<number>(texts.length).fill(0);
  let edits = 0;
  let done = 0;
  for (const [position, members] of places) {
    stopIfAsked(signal);
    const sequences = members.map((member) => texts[member].text);
    const key = unitKey({
      common: { unit: 'projection 1', model: modelKey(engine) },
      probe: { point, layer: layer ?? -1, from, direction: [...direction] },
      texts: sequences.map(({ ids, promptLength, roles }) => [[...ids], promptLength ?? ids.length, roles ? [...roles] : null]),
      position,
      condition: conditionKey,
    });
    let unit = readUnit(await store.get(key), members.length);
    if (!unit) {
      const capture = await engine.capture({
        sequences,
        points: [{ point, ...(layer === undefined ? {} : { layers: [layer] }) }],
        at: { at: [position] },
        ...(graph ? { graph } : {}),
        ...(signal ? { signal } : {}),
      });
      const projections = capture.arrays.map(({ data, width }) => {
        if (data.length !== width || from + direction.length > width) {
          throw new TillerError('eval/setting', {
            problem: `a direction of ${direction.length} numbers from column ${from} on does not fit one row of ${width}`,
          });
        }
        return direction.reduce((total, weight, i) => total + weight * data[from + i], 0);
      });
      const applied = capture.edits.reduce((total, counts) => total + Object.values(counts).reduce((a, b) => a + b, 0), 0);
      unit = { values: projections, edits: applied };
      await store.set(key, [unit.values, unit.edits]);
    }
    const found = unit;
    members.forEach((member, i) => (values[member] = found.values[i]));
    edits += found.edits;
    done += members.length;
    progress(done);
  }
  return { values, edits };
}

function readUnit(value: unknown, count: number): Projected | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [values, edits] = value as unknown[];
  if (!Array.isArray(values) || values.length !== count || typeof edits !== 'number') return null;
  return values.every((one): one is number => typeof one === 'number') ? { values, edits } : null;
}

import { TillerError } from '../errors/error.ts';
import type { PointName } from '../graph/points.ts';
import { rowRef, isSource } from '../graph/references.ts';
import { principalComponents } from '../stats/principal-components.ts';
import { rocCurve } from '../stats/roc.ts';
import { prepareExamples } from './prepared.ts';
import type { PlaceView } from './report.ts';
import { captureExamples, type FitRequest } from './run-fit.ts';
import type { Fitted } from '../methods/method.ts';

/** Points of a scatter at most, taken evenly: more do not make a picture clearer. */
const scatterPoints = 600;

export interface PlaceRequest extends Pick<FitRequest, 'engine' | 'tokenizer' | 'set' | 'recipe' | 'results' | 'signal'> {
  readonly fitted: Pick<Fitted, 'graph'>;
  readonly layer: number;
  /** Null for the whole width. */
  readonly head: number | null;
}

/**
 * One place's activations by class, from captures that a fit has stored: principal components of training and validation rows, and how
 * well the fitted direction tells validation rows apart (the difference of class means of training rows where the fit has none there).
 * @throws method/data where the place was not captured
 */
export async function inspectPlace(request: PlaceRequest): Promise<PlaceView> {
  const { engine, tokenizer, set, recipe, layer, head, fitted, signal } = request;
  const examples = prepareExamples(set, tokenizer, recipe, engine.model.limits.maxContext);
  const { tables, rows } = await captureExamples(request, examples);
  const point = (Object.keys(tables) as PointName[]).find((name) => tables[name]?.layers.includes(layer));
  const table = point && tables[point];
  if (!point || !table) throw new TillerError('method/data', { method: recipe.method, problem: `nothing was captured in layer ${layer}` });
  const width = head === null ? table.width : engine.model.headDim;
  const from = (head ?? 0) * width;
  const values = await table.layer(layer, [from, from + width], signal);
  const row = (index: number): Float32Array => values.subarray(index * width, (index + 1) * width);
  const direction = fittedDirection(fitted, point, layer, head) ?? meanDifference(rows, row, width);
  const project = (index: number): number => row(index).reduce((sum, value, i) => sum + value * direction[i], 0);
  const validation = rows.flatMap(({ part }, index) => (part === 'validation' ? [index] : []));
  const curve = rocCurve(
    validation.map(project),
    validation.map((index) => rows[index].label),
  );
  const { directions, count, explained, mean } = principalComponents(values, rows.length, width, 2);
  const every = Math.max(1, rows.length / scatterPoints);
  const shown = Array.from({ length: Math.min(rows.length, scatterPoints) }, (_, i) => Math.floor(i * every));
  const along = (index: number, k: number): number =>
    count > k ? row(index).reduce((sum, value, i) => sum + (value - mean[i]) * directions[k * width + i], 0) : 0;
  return {
    layer,
    head,
    points: shown.map((index) => ({
      x: along(index, 0),
      y: along(index, 1),
      label: rows[index].label,
      part: rows[index].part,
      text: tokenizer.decode(examples.readings[index].ids).slice(-160),
    })),
    explained: [explained[0] ?? 0, explained[1] ?? 0],
    roc: curve.points.map(({ falsePositiveRate, truePositiveRate }) => ({
      falsePositive: falsePositiveRate,
      truePositive: truePositiveRate,
    })),
    auc: curve.auc,
  };
}

/** The vector that the fit adds at a place, with its sign; null where it adds none. */
function fittedDirection({ graph }: Pick<Fitted, 'graph'>, point: PointName, layer: number, head: number | null): Float32Array | null {
  const node = graph.document.nodes.find(({ at }) => at.point === point && at.layer === layer && (at.head ?? null) === head);
  if (!node?.vector || isSource(node.vector)) return null;
  const { name, row } = rowRef(node.vector);
  const { shape, data } = graph.vectors[name];
  const width = shape[shape.length - 1];
  return data.subarray(row * width, (row + 1) * width);
}

function meanDifference(
  rows: readonly { readonly label: 0 | 1; readonly part: string }[],
  row: (index: number) => Float32Array,
  width: number,
): Float32Array {
  const out = new Float32Array(width);
  for (const label of [0, 1] as const) {
    const members = rows.flatMap((one, index) => (one.label === label && one.part === 'train' ? [index] : []));
    const share = (label === 1 ? 1 : -1) / Math.max(1, members.length);
    for (const index of members) row(index).forEach((value, i) => (out[i] += share * value));
  }
  return out;
}

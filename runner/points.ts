import * as v from 'valibot';
import type { CaptureRequest } from '../src/engine/engine.ts';
import type { Selector } from '../src/graph/document.ts';
import { pointNames, pointRow, type PointName } from '../src/graph/points.ts';
import { graphSchemaParts } from '../src/graph/schema.ts';
import { usage } from './options.ts';

type PointRequest = CaptureRequest['points'][number];

/**
 * Points of `--points`: names with commas between them; `z:3,5` takes layers 3 and 5 of z, `z:3-5` layers 3 to 5, and a name without
 * layers all of them.
 * @throws usage
 */
export function parsePoints(text: string, layers: number): PointRequest[] {
  const found: { point: PointName; layers: number[] | null }[] = [];
  for (const part of text.split(',').map((piece) => piece.trim())) {
    const [, name, range] = /^(?:([a-z_]+):?)?(?:(?<=^|:)(\d+(?:-\d+)?))?$/.exec(part) ?? [];
    const last = found.at(-1);
    if (name === undefined) {
      if (range === undefined || !last?.layers) throw usage(`--points has "${part}", expected points such as z,resid_post or z:3,5`);
      last.layers.push(...layerRange(range, layers));
      continue;
    }
    const point = pointNames.find((known) => known === name);
    if (point === undefined) throw usage(`--points names "${name}"; there are ${pointNames.join(', ')}`);
    if (found.some((other) => other.point === point)) throw usage(`--points names ${point} twice`);
    if (part.endsWith(':')) throw usage(`--points has "${part}" without a layer`);
    if (range !== undefined && !pointRow(point).perLayer) throw usage(`--points gives a layer for ${point}, which has none`);
    found.push({ point, layers: range === undefined ? null : layerRange(range, layers) });
  }
  return found.map(({ point, layers: chosen }) => (chosen ? { point, layers: [...new Set(chosen)].sort((a, b) => a - b) } : { point }));
}

function layerRange(text: string, layers: number): number[] {
  const [first, last = first] = text.split('-').map(Number);
  if (first > last || last >= layers) throw usage(`--points has the layers ${text}; the model has layers 0 to ${layers - 1}`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** A selector of `--at`: a word, or JSON as in graphs. @throws usage */
export function parseAt(text: string): Selector {
  let value: unknown = text;
  if (/^\s*[{["]/.test(text)) {
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw usage(`--at is not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const result = v.safeParse(graphSchemaParts.selector, value, { abortEarly: true });
  if (!result.success) throw usage(`--at is "${text}": ${result.issues[0].message}`);
  return result.output;
}

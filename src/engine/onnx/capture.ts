import { countsById } from '../../graph/counts.ts';
import { forwardOrder, type PointName } from '../../graph/points.ts';
import { compileSelector } from '../../graph/selector.ts';
import type { Capture, CaptureArray, CaptureRequest } from '../engine.ts';
import { PrefixTreeBuilder, seenByRunning } from '../prefix-tree.ts';
import { capturePlaces, factorLanes, normalizeSequences, planFor, throwIfAborted } from '../request.ts';
import { selectedPositions } from '../rows.ts';
import type { Core } from './core.ts';
import type { PointTap } from './forward.ts';
import { passing, positionsOf, walkTree } from './tree-walk.ts';

/** Positions computed before the next sequences are taken. */
const GROUP_POSITIONS = 2 ** 17;

/** Activations of given sequences at chosen points and positions. See Engine.capture. */
export async function capture(core: Core, request: CaptureRequest): Promise<Capture> {
  const { info } = core;
  const sequences = normalizeSequences(request.sequences, info);
  const places = capturePlaces(request.points, info);
  const selector = compileSelector(request.at ?? 'all');
  const graph = request.graph ?? null;
  const lanes = factorLanes(request.factor ?? 1).slice(0, graph ? 2 : 1);
  const lane = lanes.length - 1;
  const plan = planFor(graph, info, info.vocab, lanes);
  throwIfAborted(request.signal);
  const picked = sequences.map((sequence) => selectedPositions(selector, sequence));
  const arrays = sequences.map((sequence, index) =>
    places.map(({ point, layer, width }): CaptureArray => {
      const positions = picked[index];
      const tokens = positions.map((position) => sequence.ids[position]);
      return { point, layer, sequence: index, positions, tokens, width, data: new Float32Array(positions.length * width) };
    }),
  );
  const rowOf = picked.map((positions) => new Map(positions.map((position, row) => [position, row])));
  const placeIndex = new Map(places.map(({ point, layer }, index) => [`${point}/${layer}`, index]));

  // As deep as somebody looks: an edit that its gate decides on has to be seen to be counted.
  const seen = plan.edits.filter((edit) => seenByRunning(edit) && plan.strengthOf(lane, edit.index) !== null);
  const order = ({ point, layer }: { point: PointName; layer: number }): number => forwardOrder(point, layer, info.layers);
  const until = [...places, ...seen].reduce((a, b) => (order(b) > order(a) ? b : a));
  const wantsLogits = placeIndex.has('logits/-1');

  const release = await core.acquire();
  try {
    const counts: Float64Array[] = [];
    let computed = 0;
    for (let first = 0; first < sequences.length;) {
      const builder = new PrefixTreeBuilder(plan, sequences);
      let next = first;
      while (next < sequences.length && (next === first || builder.positions <= GROUP_POSITIONS)) {
        builder.add(next, lane, (picked[next].at(-1) ?? -1) + 1);
        next++;
      }
      const tree = builder.build();
      const runsAt = passing(tree);
      const here = positionsOf(tree);
      const begun = first;
      let done = 0;
      counts.push(
        ...(await walkTree(core, {
          plan,
          sequences,
          tree,
          until,
          signal: request.signal,
          looks: ({ node, position }) => wantsLogits && runsAt[node].some(({ sequence }) => rowOf[sequence].has(position)),
          tap: (rows) => {
            const targets = rows.map((row) =>
              row
                ? runsAt[row.node].flatMap(({ sequence }) => {
                    const at = rowOf[sequence].get(row.position);
                    return at === undefined ? [] : [{ arrays: arrays[sequence], at }];
                  })
                : [],
            );
            return new CaptureTap(placeIndex, targets);
          },
          onRows: (count) => {
            done += count;
            request.onProgress?.(begun + Math.floor(((next - begun) * done) / Math.max(1, here)), sequences.length);
          },
        })),
      );
      computed += here;
      first = next;
    }
    request.onProgress?.(sequences.length, sequences.length);
    // Counted by sequence; the unedited lane is there for sources only.
    const by = counts.map(
      (row) =>
        countsById(
          plan,
          lanes.map((_, at) => (at === lane ? row : [])),
        ).edits[lane],
    );
    const total = counts.reduce((sum, row) => sum.map((count, edit) => count + row[edit]), new Float64Array(plan.edits.length));
    const beside = plan.edits.some((edit) => edit.source && plan.strengthOf(lane, edit.index) !== null) ? 2 : 1;
    const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * beside;
    const { unmatched } = countsById(
      plan,
      lanes.map((_, at) => (at === lane ? total : [])),
    );
    return { arrays: arrays.flat(), edits: by, unmatched, work: { positions, computed } };
  } finally {
    release();
  }
}

interface Target {
  readonly arrays: readonly CaptureArray[];
  /** Row of each of the sequence's arrays. */
  readonly at: number;
}

class CaptureTap implements PointTap {
  constructor(
    private readonly placeIndex: ReadonlyMap<string, number>,
    /** By row of the call. */
    private readonly targets: readonly (readonly Target[])[],
  ) {}

  touches(point: PointName, layer: number): boolean {
    return this.placeIndex.has(`${point}/${layer}`);
  }

  at(point: PointName, layer: number, values: Float32Array, width: number, rows: readonly number[] | null): void {
    const place = this.placeIndex.get(`${point}/${layer}`) ?? 0;
    const count = values.length / width;
    for (let at = 0; at < count; at++) {
      for (const target of this.targets[rows ? rows[at] : at]) {
        target.arrays[place].data.set(values.subarray(at * width, (at + 1) * width), target.at * width);
      }
    }
  }
}

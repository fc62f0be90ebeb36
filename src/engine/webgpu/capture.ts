import { TillerError } from '../../errors/error.ts';
import { countsById } from '../../graph/counts.ts';
import type { Plan } from '../../graph/plan.ts';
import { forwardOrder, type PointName } from '../../graph/points.ts';
import { compileSelector } from '../../graph/selector.ts';
import { SelectedCounts } from '../edit-counts.ts';
import type { Capture, CaptureArray, CaptureRequest } from '../engine.ts';
import { pathOf, PrefixTreeBuilder, seenByRunning, type PrefixTree } from '../prefix-tree.ts';
import {
  capturePlaces,
  factorLanes,
  normalizeSequences,
  planFor,
  throwIfAborted,
  type CapturePlace,
  type NormalSequence,
} from '../request.ts';
import { selectedPositions } from '../rows.ts';
import type { Core } from './core.ts';
import type { Dispatch } from './dispatch.ts';
import { Flight } from './flight.ts';
import { keysUntil, type PointView, type Taps } from './forward.ts';
import type { GraphRun } from './graph-run.ts';
import { Memory } from './memory.ts';
import { Params } from './params.ts';
import { mostPositions, mostRows, runPrefixTree } from './prefix-run.ts';
import { Readback } from './readback.ts';
import { copyRows } from './row-copy.ts';
import { UNCOUNTED_BIT } from './row-table.ts';
import { paddedWidths } from './scratch.ts';

/** Most bytes of captured rows that one call keeps on the device, and of logits where they are captured. */
const CAPTURE_BYTES = 64 * 1048576;

/** Gathers the chosen rows of every captured place, after the edits at it: [chosen, all places side by side]. */
class CaptureTaps implements Taps {
  private readonly columns = new Map<string, { readonly first: number; readonly width: number }>();
  private readonly rowFloats: number;
  graph: GraphRun | null = null;
  chosen = 0;

  constructor(
    places: readonly CapturePlace[],
    private readonly pairs: GPUBuffer,
    private readonly output: GPUBuffer,
    private readonly params: Params,
  ) {
    let first = 0;
    for (const { point, layer, width } of places) {
      this.columns.set(`${point} ${layer}`, { first, width });
      first += width;
    }
    this.rowFloats = first;
  }

  touches(point: PointName, layer: number): boolean {
    return (this.chosen > 0 && this.columns.has(`${point} ${layer}`)) || (this.graph?.touches(point, layer) ?? false);
  }

  dispatches(point: PointName, layer: number, view: PointView, rows: number): Dispatch[] {
    const list = this.graph?.dispatches(point, layer, view, rows) ?? [];
    const columns = this.columns.get(`${point} ${layer}`);
    if (!columns || this.chosen === 0) return list;
    const from = { buffer: view.buffer, stride: view.stride, first: view.column };
    const to = { buffer: this.output, stride: this.rowFloats, first: columns.first };
    return [...list, copyRows(this.params, from, to, columns.width, this.pairs, this.chosen)];
  }
}

/** Activations of given sequences at chosen points and positions. See Engine.capture. */
export async function capture(core: Core, request: CaptureRequest): Promise<Capture> {
  const sequences = normalizeSequences(request.sequences, core.info);
  const places = capturePlaces(request.points, core.info);
  const graph = request.graph ?? null;
  const plan = planFor(graph, core.info, core.info.vocab, graph ? factorLanes(request.factor ?? 1) : [{}]);
  const selector = compileSelector(request.at ?? 'all');
  throwIfAborted(request.signal);
  const release = await core.acquire();
  const memory = new Memory(core.device);
  try {
    const capturing = new Capturing(core, request, plan, sequences, places, memory);
    const picked = sequences.map((sequence) => selectedPositions(selector, sequence));
    return await capturing.run(picked);
  } finally {
    memory.freeAll();
    core.recorder.forget();
    release();
  }
}

class Capturing {
  private readonly lane: number;
  private readonly rowFloats: number;
  /** Most rows that a call may keep. */
  private readonly most: number;
  private readonly callRows: number;
  private readonly until: number;
  private readonly output: GPUBuffer;
  private readonly pairs: GPUBuffer;
  private readonly taps: CaptureTaps;
  private readonly counted: boolean;

  constructor(
    private readonly core: Core,
    private readonly request: CaptureRequest,
    private readonly plan: Plan,
    private readonly sequences: readonly NormalSequence[],
    private readonly places: readonly CapturePlace[],
    memory: Memory,
  ) {
    this.lane = request.graph ? 1 : 0;
    this.rowFloats = places.reduce((sum, place) => sum + place.width, 0);
    const limit = Math.min(CAPTURE_BYTES, core.memory.bindingLimit);
    if (this.rowFloats * 4 > limit) {
      throw new TillerError('request/invalid', {
        problem: `one token's activations at these points take ${this.rowFloats * 4} bytes, at most ${limit} are kept at once; ask for fewer points`,
      });
    }
    const logitRows = Math.max(1, Math.floor(limit / (paddedWidths(core.spec).vocab * 4)));
    this.callRows = places.some((place) => place.point === 'logits') ? Math.min(core.chunkRows, logitRows) : core.chunkRows;
    this.most = Math.max(1, Math.min(this.callRows, Math.floor(limit / (this.rowFloats * 4))));
    this.output = memory.storage('captured', this.most * this.rowFloats * 4);
    this.pairs = memory.storage('captured rows', this.most * 8);
    this.taps = new CaptureTaps(places, this.pairs, this.output, new Params(memory));
    this.counted = plan.edits.some(seenByRunning);
    // Edits that only running tells of are gone through, so that they are counted; no others.
    const seen = plan.edits.filter((edit) => seenByRunning(edit) && plan.strengthOf(this.lane, edit.index) !== null);
    this.until = Math.max(...[...places, ...seen].map(({ point, layer }) => forwardOrder(point, layer, core.spec.layers)));
  }

  /** @param picked by sequence, the positions to keep, ascending */
  async run(picked: readonly (readonly number[])[]): Promise<Capture> {
    const { sequences, plan, lane } = this;
    const arrays = sequences.map(({ ids }, sequence) =>
      this.places.map(({ point, layer, width }): CaptureArray => {
        const positions = picked[sequence];
        const data = new Float32Array(positions.length * width);
        return { point, layer, sequence, positions, tokens: positions.map((position) => ids[position]), width, data };
      }),
    );
    const selected = new SelectedCounts(plan, sequences);
    const counts = sequences.map((_, s) => selected.of(s, lane));
    const total = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
    const most = mostPositions(plan);
    let computed = 0;
    for (let first = 0; first < sequences.length;) {
      const builder = new PrefixTreeBuilder(plan, sequences);
      let next = first;
      while (next < sequences.length && (next === first || builder.positions + sequences[next].ids.length <= most)) {
        builder.add(next, lane, (picked[next].at(-1) ?? -1) + 1);
        next += 1;
      }
      const tree = builder.build();
      const before = sequences.slice(0, first).reduce((sum, { ids }) => sum + ids.length, 0);
      const share = sequences.slice(first, next).reduce((sum, { ids }) => sum + ids.length, 0);
      const here = tree.nodes.reduce((sum, { from, to, lone }) => sum + (to - from) * ((lone?.helpers.length ?? 0) + 1), 0);
      let rows = 0;
      const seen = await this.block(tree, picked, arrays, (count) => {
        rows += count;
        this.request.onProgress?.(before + Math.floor((share * rows) / (here + 1)), total);
      });
      computed += here;
      for (const run of tree.runs) {
        for (const node of pathOf(tree, run))
          seen?.[node].forEach((count, edit) => (counts[run.sequence][edit] += seenByRunning(plan.edits[edit]) ? count : 0));
      }
      this.request.onProgress?.(before + share, total);
      first = next;
    }
    // Counted as if every sequence were a lane of its own with the edited lane's strengths.
    const view: Plan = { ...plan, strengthOf: (_, edit) => plan.strengthOf(lane, edit) };
    const beside = plan.edits.some((edit) => edit.source && plan.strengthOf(lane, edit.index) !== null) ? 2 : 1;
    return { arrays: arrays.flat(), ...countsById(view, counts), work: { positions: total * beside, computed } };
  }

  /** Captures what one tree holds; gives counts by node of edits that only the device can count. */
  private async block(
    tree: PrefixTree,
    picked: readonly (readonly number[])[],
    arrays: readonly (readonly CaptureArray[])[],
    onRows: (count: number) => void,
  ): Promise<Uint32Array[] | null> {
    const { core, plan, sequences, taps, rowFloats, places } = this;
    // By node and position, where its row goes: pairs of sequence and index among the kept positions.
    const takers: (number[] | undefined)[][] = tree.nodes.map(() => []);
    for (const run of tree.runs) {
      const positions = picked[run.sequence];
      let at = 0;
      for (const node of pathOf(tree, run)) {
        const { from, to } = tree.nodes[node];
        for (; at < positions.length && positions[at] < to; at += 1) (takers[node][positions[at] - from] ??= []).push(run.sequence, at);
      }
    }
    const takersOf = (node: number, position: number): number[] | undefined => takers[node][position - tree.nodes[node].from];
    core.scratch.ensure(mostRows(tree, this.callRows));
    const flight = new Flight();
    const seen = await runPrefixTree(
      core,
      plan,
      sequences,
      tree,
      {
        rows: this.callRows,
        kept: { most: this.most, is: (node, position) => takersOf(node, position) !== undefined },
        signal: this.request.signal,
        onRows,
      },
      async ({ rows, refs, graph }) => {
        const pending: number[][] = [];
        const pairs: number[] = [];
        refs.forEach((ref, row) => {
          const found = ref.wanted ? takersOf(ref.node, ref.position) : undefined;
          if (!found) return;
          pairs.push(row, pending.length);
          pending.push(found);
        });
        taps.graph = graph;
        // A prompt that has to pass in one go may have more rows than are kept at once: it passes again for each part of them.
        for (let first = 0; first === 0 || first < pending.length; first += this.most) {
          const part = pending.slice(first, first + this.most);
          taps.chosen = part.length;
          const chosen = Uint32Array.from(pairs.slice(2 * first, 2 * (first + part.length)), (value, i) =>
            i % 2 === 0 ? value : value - first,
          );
          core.device.queue.writeBuffer(this.pairs, 0, chosen);
          const counting = this.counted && graph !== null;
          const until = part.length > 0 || counting ? this.until : keysUntil(core.spec, this.until);
          const logits = taps.touches('logits', -1) && until >= forwardOrder('logits', -1, core.spec.layers);
          // What passes again has been counted.
          const again = first === 0 ? rows : rows.map((row) => ({ ...row, flags: row.flags | UNCOUNTED_BIT }));
          const { list } = await core.prepare(again, { taps, logits, until });
          const size = part.length * rowFloats * 4;
          const readback = Readback.prepare(core.device, core.health, [{ buffer: this.output, offset: 0, size }]);
          core.recorder.submit(list, (encoder) => readback.encode(encoder));
          await flight.add(
            readback.take().then(([bytes]) => {
              const values = new Float32Array(bytes);
              part.forEach((found, row) => {
                let from = row * rowFloats;
                places.forEach(({ width }, place) => {
                  const data = values.subarray(from, (from += width));
                  for (let i = 0; i < found.length; i += 2) arrays[found[i]][place].data.set(data, found[i + 1] * width);
                });
              });
            }),
          );
        }
      },
    );
    await flight.land();
    return seen;
  }
}

import { TillerError } from '../../errors/error.ts';
import type { PointName } from '../../graph/points.ts';
import { compileSelector } from '../../graph/selector.ts';
import type { Capture, CaptureArray, CaptureRequest } from '../engine.ts';
import { capturePlaces, factorLanes, normalizeSequences, planFor, type CapturePlace } from '../request.ts';
import { selectedPositions, selects } from '../rows.ts';
import type { Core } from './core.ts';
import type { Dispatch } from './dispatch.ts';
import type { PointView, Taps } from './forward.ts';
import type { GraphRun } from './graph-run.ts';
import { Memory } from './memory.ts';
import { Params } from './params.ts';
import { Readback } from './readback.ts';
import { readCounts } from './score.ts';
import { runSequences } from './sequences.ts';

/** Most bytes of captured rows that one call keeps on the device. */
const CAPTURE_BYTES = 64 * 1048576;

/** Gathers the chosen rows of every captured place, after the edits at it. */
class CaptureTaps implements Taps {
  /** f32 offset of each place's rows in the output. */
  readonly offsets: readonly number[];
  private readonly index = new Map<string, number>();

  constructor(
    private readonly graph: GraphRun | null,
    private readonly places: readonly CapturePlace[],
    private readonly chosen: number,
    private readonly rowIndex: GPUBuffer,
    private readonly output: GPUBuffer,
    private readonly params: Params,
  ) {
    const offsets: number[] = [];
    let at = 0;
    places.forEach((place, i) => {
      this.index.set(`${place.point} ${place.layer}`, i);
      offsets.push(at);
      at += place.width * chosen;
    });
    this.offsets = offsets;
  }

  touches(point: PointName, layer: number): boolean {
    return this.index.has(`${point} ${layer}`) || (this.graph?.touches(point, layer) ?? false);
  }

  dispatches(point: PointName, layer: number, view: PointView, rows: number): Dispatch[] {
    const list = this.graph?.dispatches(point, layer, view, rows) ?? [];
    const place = this.index.get(`${point} ${layer}`);
    if (place === undefined || this.chosen === 0) return list;
    const { width } = this.places[place];
    return [
      ...list,
      {
        variant: { shader: 'copy_rows' },
        bindings: [
          this.params.get([view.stride, view.column, width, this.offsets[place]]),
          { buffer: view.buffer },
          { buffer: this.rowIndex },
          { buffer: this.output },
        ],
        workgroups: [Math.ceil(width / 64), this.chosen, 1],
        cost: this.chosen * width,
      },
    ];
  }
}

/** Activations of given sequences at chosen points and positions. See Engine.capture. */
export async function capture(core: Core, request: CaptureRequest): Promise<Capture> {
  const sequences = normalizeSequences(request.sequences, core.info);
  const places = capturePlaces(request.points, core.info);
  const graph = request.graph ?? null;
  const plan = planFor(graph, core.info, core.info.vocab, graph ? factorLanes(request.factor ?? 1) : [{}]);
  const selector = compileSelector(request.at ?? 'all');
  if (request.signal?.aborted) throw new TillerError('request/aborted');
  // Patching takes rows from the unedited lane, which then has to run along.
  const lanes = graph ? (plan.edits.some((edit) => edit.source) ? [0, 1] : [1]) : [0];
  const edited = lanes[lanes.length - 1];
  const release = await core.acquire();
  const memory = new Memory(core.device);
  try {
    const params = new Params(memory);
    const rowFloats = places.reduce((sum, place) => sum + place.width, 0);
    const limit = Math.min(CAPTURE_BYTES, core.memory.bindingLimit);
    if (rowFloats * 4 > limit) {
      throw new TillerError('request/invalid', {
        problem: `one token's activations at these points take ${rowFloats * 4} bytes, at most ${limit} are kept at once; ask for fewer points`,
      });
    }
    const maxRows = Math.max(lanes.length, Math.min(core.chunkRows, Math.floor(limit / (rowFloats * 4))));
    const wantsLogits = places.some((place) => place.point === 'logits');

    const picked = sequences.map((sequence) => selectedPositions(selector, sequence));
    const arrays = sequences.map((sequence, index) =>
      places.map(({ point, layer, width }): CaptureArray => {
        const positions = picked[index];
        return {
          point,
          layer,
          sequence: index,
          positions,
          tokens: positions.map((position) => sequence.ids[position]),
          width,
          data: new Float32Array(positions.length * width),
        };
      }),
    );
    const filled = sequences.map(() => 0);

    const counted = await runSequences(
      core,
      plan,
      lanes,
      sequences,
      maxRows,
      request.signal,
      async ({ rows, refs, graph: run }) => {
        const chosen = refs.flatMap((ref, row) => (ref.lane === edited && selects(selector, ref.sequence, ref.position) ? [row] : []));
        const call = new Memory(core.device);
        try {
          const rowIndex = call.storage('captured rows', Math.max(1, chosen.length) * 4);
          const output = call.storage('captured', Math.max(1, chosen.length) * rowFloats * 4);
          core.device.queue.writeBuffer(rowIndex, 0, new Uint32Array(chosen));
          const taps = new CaptureTaps(run, places, chosen.length, rowIndex, output, params);
          const { list } = await core.prepare(rows, { taps, logits: wantsLogits, complete: true });
          const readback = Readback.prepare(core.device, core.health, [{ buffer: output, offset: 0, size: chosen.length * rowFloats * 4 }]);
          core.recorder.submit(list, (encoder) => readback.encode(encoder));
          const [bytes] = await readback.take();
          const values = new Float32Array(bytes);
          chosen.forEach((row, i) => {
            const { sequence } = refs[row].member;
            const at = filled[sequence];
            filled[sequence] += 1;
            places.forEach(({ width }, place) => {
              const from = taps.offsets[place] + i * width;
              arrays[sequence][place].data.set(values.subarray(from, from + width), at * width);
            });
          });
        } finally {
          call.freeAll();
          core.recorder.forget();
        }
      },
      async (run) => readCounts(core, run),
      request.onProgress,
    );
    const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * lanes.length;
    return { arrays: arrays.flat(), edits: counted.edits, unmatched: counted.unmatched, work: { positions, computed: positions } };
  } finally {
    memory.freeAll();
    release();
  }
}

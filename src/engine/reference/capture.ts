import { countsById } from '../../graph/counts.ts';
import { compileSelector } from '../../graph/selector.ts';
import type { Capture, CaptureArray, CaptureRequest, ModelInfo } from '../engine.ts';
import { capturePlaces, factorLanes, normalizeSequences, planFor, type NormalSequence } from '../request.ts';
import { selectedPositions } from '../rows.ts';
import { forward } from './forward.ts';
import { Interventions } from './interventions.ts';
import type { ReferenceModel } from './model.ts';
import { Pause } from '../pause.ts';
import { startRun } from './run.ts';

/** Each sequence in one forward call; the unedited lane runs beside the edited one only where the graph takes vectors from it. */
export async function capture(model: ReferenceModel, info: ModelInfo, now: () => number, request: CaptureRequest): Promise<Capture> {
  const sequences = normalizeSequences(request.sequences, info);
  const places = capturePlaces(request.points, info);
  const at = compileSelector(request.at ?? 'all');
  const graph = request.graph ?? null;
  const lanes = factorLanes(request.factor ?? 1).slice(0, graph ? 2 : 1);
  const plan = planFor(graph, info, info.vocab, lanes);
  const needed = lanes
    .map((_, lane) => lane)
    .filter((lane) => lane === lanes.length - 1 || plan.edits.some((edit) => edit.source?.lane === lane));
  const pause = new Pause(now, request.signal);
  const arrays: CaptureArray[] = [];
  const edits: Readonly<Record<string, number>>[] = [];
  const counts = lanes.map(() => new Float64Array(plan.edits.length));
  for (const [index, sequence] of sequences.entries()) {
    await captureOne(index, sequence);
    request.onProgress?.(index + 1, sequences.length);
  }
  const positions = sequences.reduce((sum, { ids }) => sum + ids.length, 0) * needed.length;
  return { arrays, edits, unmatched: countsById(plan, counts).unmatched, work: { positions, computed: positions } };

  async function captureOne(index: number, sequence: NormalSequence): Promise<void> {
    const runs = needed.map((lane) => startRun(model.spec, plan, lane, sequence));
    const run = runs[runs.length - 1];
    const positions = selectedPositions(at, sequence);
    const place = new Map(positions.map((position, row) => [position, row]));
    const tokens = positions.map((position) => sequence.ids[position]);
    const wanted = new Map<string, CaptureArray>();
    for (const { point, layer, width } of places) {
      const array = { point, layer, sequence: index, positions, tokens, width, data: new Float32Array(positions.length * width) };
      wanted.set(`${point}/${layer}`, array);
      arrays.push(array);
    }
    await forward({
      model,
      interventions: new Interventions(plan),
      runs,
      count: sequence.ids.length,
      pause,
      logits: wanted.has('logits/-1') ? 'all' : 'none',
      onPoint: (point, layer, values, width, rows) => {
        const array = wanted.get(`${point}/${layer}`);
        if (!array) return;
        rows.forEach((row, r) => {
          const target = place.get(row.position);
          if (row.run === run && target !== undefined) array.data.set(values.subarray(r * width, (r + 1) * width), target * width);
        });
      },
    });
    run.counts.forEach((count, edit) => (counts[run.lane][edit] += count));
    edits.push(countsById(plan, [run.counts]).edits[0]);
  }
}

import type { Plan, PlannedEdit, PlannedRead, PlannedSource } from '../../graph/plan.ts';
import type { PointName } from '../../graph/points.ts';

/** Numbers of shaders/edit.wgsl. */
const kinds = { add: 0, scale: 1, ablate: 2, clamp: 3, cap: 4, set: 5, dot: 6, cosine: 7, norm: 8, save: 9 } as const;
const NONE = 0xffffffff;
const OP_WORDS = 12;
/** Slots of `saved` a source has besides one for each position of a call: two that carry on from call to call in turn. */
export const CARRY_SLOTS = 2;

/** One dispatch of the edit kernel: its segments in `program`. */
export interface Phase {
  /** Offset of the (first op, end op) pairs. */
  readonly segments: number;
  readonly count: number;
}

/** A plan as the edit kernel takes it. Contents only: nothing here is compiled. */
export interface Program {
  readonly words: Uint32Array;
  /** Vectors and masks; strengths of lane l, edit e at strengths + l * edits + e. */
  readonly data: Float32Array;
  readonly strengths: number;
  readonly edits: number;
  readonly reads: number;
  /** 32-bit words of selection bits a row. */
  readonly selectionWords: number;
  readonly sources: readonly PlannedSource[];
  /** f32 that `saved` holds. */
  readonly savedSize: number;
  phases(point: PointName, layer: number): readonly Phase[];
}

type PlannedNode = PlannedEdit | PlannedRead;
type Step = { readonly node: PlannedNode } | { readonly save: number };

interface Slice {
  readonly start: number;
  readonly width: number;
}

const siteKey = (point: PointName, layer: number): string => `${point} ${layer}`;

/**
 * @param lanes rows of the strength table: for each, the lane of the plan
 * @param positions most positions that one call covers, which patching sources are kept for
 */
export function buildProgram(plan: Plan, lanes: readonly number[], positions: number): Program {
  const ops: number[] = [];
  const segments: number[] = [];
  const vectors = new VectorPool();
  const sources: PlannedSource[] = [];
  const sourceOf = new Map<number, number>();
  for (const edit of plan.edits) {
    if (edit.source) {
      sourceOf.set(edit.index, sources.length);
      sources.push(edit.source);
    }
  }
  const bases: number[] = [];
  let savedSize = 0;
  for (const source of sources) {
    bases.push(savedSize);
    savedSize += source.width * (positions + CARRY_SLOTS);
  }

  const floats = new Float32Array(1);
  const bits = new Uint32Array(floats.buffer);
  const bitsOf = (value: number): number => {
    floats[0] = value;
    return bits[0];
  };

  const emit = (step: Step): number => {
    const index = ops.length / OP_WORDS;
    if ('save' in step) {
      const source = sources[step.save];
      ops.push(kinds.save, 0, source.start, source.width, NONE, 0, NONE, 0, 0, 0, step.save, bases[step.save]);
      return index;
    }
    const { node } = step;
    if (node.kind === 'read') {
      const vector = node.vector ? vectors.add(node.vector) : NONE;
      ops.push(kinds[node.read], plan.edits.length + node.index, node.start, node.width, vector, node.index, NONE, 0, 0, 0, NONE, 0);
      return index;
    }
    const values = node.edit === 'scale' ? node.mask : node.vector;
    const gate = node.gate;
    const flags = gate ? (gate.above !== null ? 1 : 0) | (gate.below !== null ? 2 : 0) | (gate.hold === 'last' ? 4 : 0) : 0;
    const source = sourceOf.get(node.index);
    ops.push(
      kinds[node.edit],
      node.index,
      node.start,
      node.width,
      values ? vectors.add(values) : NONE,
      node.index,
      gate ? gate.read : NONE,
      flags,
      bitsOf(gate?.above ?? 0),
      bitsOf(gate?.below ?? 0),
      source ?? NONE,
      source === undefined ? 0 : bases[source],
    );
    return index;
  };

  const sites = new Map<string, Phase[]>();
  const places = new Map<string, readonly [PointName, number]>();
  for (const { point, layer } of [...plan.edits, ...plan.reads, ...sources]) places.set(siteKey(point, layer), [point, layer]);
  for (const [key, [point, layer]] of places) {
    const phases: Step[][] = [[]];
    const here = plan.at(point, layer);
    const savedAlready = new Set<number>();
    for (const node of here) {
      const source = node.kind === 'edit' ? sourceOf.get(node.index) : undefined;
      if (source !== undefined && siteKey(sources[source].point, sources[source].layer) === key) {
        // The source lane's row must be saved, by its own workgroup, before another lane's workgroup reads it.
        phases[phases.length - 1].push({ save: source });
        savedAlready.add(source);
        phases.push([]);
      }
      phases[phases.length - 1].push({ node });
    }
    sources.forEach((source, index) => {
      if (!savedAlready.has(index) && siteKey(source.point, source.layer) === key) phases[phases.length - 1].push({ save: index });
    });
    sites.set(
      key,
      phases
        .filter((steps) => steps.length > 0)
        .map((steps) => {
          const groups = segmentsOf(steps, sources);
          const at = segments.length;
          for (const group of groups) {
            const indices = group.map(emit);
            segments.push(indices[0], indices[indices.length - 1] + 1);
          }
          return { segments: at, count: groups.length };
        }),
    );
  }

  const opWords = ops.length;
  const words = new Uint32Array(opWords + segments.length);
  words.set(ops);
  words.set(segments, opWords);
  const data = new Float32Array(vectors.length + lanes.length * plan.edits.length);
  vectors.write(data);
  lanes.forEach((lane, row) => {
    for (const edit of plan.edits) data[vectors.length + row * plan.edits.length + edit.index] = plan.strengthOf(lane, edit.index) ?? 0;
  });
  return {
    words,
    data,
    strengths: vectors.length,
    edits: plan.edits.length,
    reads: plan.reads.length,
    selectionWords: Math.max(1, Math.ceil((plan.edits.length + plan.reads.length) / 32)),
    sources,
    savedSize,
    phases: (point, layer) => (sites.get(siteKey(point, layer)) ?? []).map((phase) => ({ ...phase, segments: phase.segments + opWords })),
  };
}

/**
 * Steps that can run side by side: one segment for each slice when slices do not overlap (heads), else all in one, in order.
 */
function segmentsOf(steps: readonly Step[], sources: readonly PlannedSource[]): Step[][] {
  const sliceOf = (step: Step): Slice => ('save' in step ? sources[step.save] : step.node);
  const groups = new Map<string, Step[]>();
  const slices = new Map<string, Slice>();
  for (const step of steps) {
    const { start, width } = sliceOf(step);
    const key = `${start} ${width}`;
    slices.set(key, { start, width });
    const group = groups.get(key);
    if (group) group.push(step);
    else groups.set(key, [step]);
  }
  const ordered = [...slices.values()].sort((a, b) => a.start - b.start);
  const overlap = ordered.some((slice, index) => index > 0 && slice.start < ordered[index - 1].start + ordered[index - 1].width);
  return overlap ? [[...steps]] : [...groups.values()];
}

/** Vectors end to end, each stored once however many nodes use it. */
class VectorPool {
  private readonly offsets = new Map<string, number>();
  private readonly stored: Float32Array[] = [];
  private readonly buffers = new Map<ArrayBufferLike, number>();
  length = 0;

  add(values: Float32Array): number {
    let buffer = this.buffers.get(values.buffer);
    if (buffer === undefined) this.buffers.set(values.buffer, (buffer = this.buffers.size));
    const key = `${buffer} ${values.byteOffset} ${values.length}`;
    let offset = this.offsets.get(key);
    if (offset === undefined) {
      offset = this.length;
      this.offsets.set(key, offset);
      this.stored.push(values);
      this.length += values.length;
    }
    return offset;
  }

  write(out: Float32Array): void {
    let at = 0;
    for (const values of this.stored) {
      out.set(values, at);
      at += values.length;
    }
  }
}

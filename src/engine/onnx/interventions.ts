import { applyEdit, applyRead } from '../../graph/edit.ts';
import type { Plan, PlannedEdit, PlannedGate, PlannedRead, PlannedSource } from '../../graph/plan.ts';
import type { PointName } from '../../graph/points.ts';
import { selects, type TokenRow } from '../rows.ts';

/** A sequence under one lane of a plan, and what its edits and reads left behind. */
export interface EditedRun extends TokenRow {
  /** Index among the lanes of the plan. */
  readonly lane: number;
  /** By read: its number at the last prompt position, NaN before it is there. */
  readonly held: Float64Array;
  /** By edit: rows it was applied to. */
  readonly counts: Float64Array;
}

/** One position of one run within a forward call. */
export interface EditedRow {
  readonly run: EditedRun;
  readonly position: number;
  /** By read: its number at this position, NaN where it reads none. */
  readonly readings: Float64Array;
}

export function startRun(plan: Plan, lane: number, sequence: TokenRow): EditedRun {
  const { ids, promptLength, roles } = sequence;
  return {
    lane,
    ids,
    promptLength,
    roles,
    held: new Float64Array(plan.reads.length).fill(NaN),
    counts: new Float64Array(plan.edits.length),
  };
}

const nothing = new Float64Array(0);

export function editedRow(plan: Plan, run: EditedRun, position: number): EditedRow {
  return { run, position, readings: plan.reads.length > 0 ? new Float64Array(plan.reads.length).fill(NaN) : nothing };
}

/**
 * Applies a plan's nodes to the rows of a forward call, in f32 rows with f64 sums, as the reference engine does. One object lives as
 * long as its runs: it keeps the rows that edits take from other lanes, since a source that lies before the current call is still the
 * latest one.
 */
export class Interventions {
  readonly plan: Plan;
  /** By edit: rows taken from its source lane, in the order of positions. */
  private readonly taken = new Map<number, { position: number; row: Float32Array }[]>();
  /** By place: edits whose source is there. */
  private readonly sources = new Map<string, PlannedEdit[]>();

  /** @param sources false where no run takes vectors from another lane: then nothing is kept for any */
  constructor(plan: Plan, sources: boolean) {
    this.plan = plan;
    if (!sources) return;
    for (const edit of plan.edits) {
      if (!edit.source) continue;
      const key = place(edit.source.point, edit.source.layer);
      this.sources.set(key, [...(this.sources.get(key) ?? []), edit]);
      this.taken.set(edit.index, []);
    }
  }

  /** Whether a plan asks for anything at a point of a layer (-1 for points without one) in some lane. */
  touches(point: PointName, layer: number): boolean {
    return this.plan.at(point, layer).length > 0 || this.sources.has(place(point, layer));
  }

  /**
   * x is [rows.length, width], changed in place; null stands for a row that nothing acts on. Nodes run in document order, each over all rows. A source at the very place of its
   * edit gives the row as the nodes before that edit left it; a source at an earlier place gives what all nodes there left.
   */
  apply(point: PointName, layer: number, x: Float32Array, width: number, rows: readonly (EditedRow | null)[]): void {
    for (const node of this.plan.at(point, layer)) {
      if (node.kind === 'read') {
        rows.forEach((row, at) => row && this.read(node, x, at * width, row));
        continue;
      }
      if (node.source?.point === point && node.source.layer === layer) this.take(node, node.source, x, width, rows);
      rows.forEach((row, at) => row && this.edit(node, x, at * width, row));
    }
    for (const edit of this.sources.get(place(point, layer)) ?? []) {
      if (edit.source && (edit.point !== point || edit.layer !== layer)) this.take(edit, edit.source, x, width, rows);
    }
  }

  private edit(edit: PlannedEdit, x: Float32Array, base: number, row: EditedRow): void {
    const { run, position } = row;
    const strength = this.plan.strengthOf(run.lane, edit.index);
    if (strength === null || !selects(edit.tokens, run, position)) return;
    if (edit.gate && !isOpen(edit.gate, row)) return;
    const vector = edit.source ? this.latest(edit.index, position) : edit.vector;
    if (edit.source && !vector) return;
    applyEdit(edit, x.subarray(base + edit.start, base + edit.start + edit.width), strength, vector);
    run.counts[edit.index]++;
  }

  private read(read: PlannedRead, x: Float32Array, base: number, { run, position, readings }: EditedRow): void {
    if (!selects(read.tokens, run, position)) return;
    const value = applyRead(read, x.subarray(base + read.start, base + read.start + read.width));
    readings[read.index] = value;
    if (position === run.promptLength - 1) run.held[read.index] = value;
  }

  private take(edit: PlannedEdit, source: PlannedSource, x: Float32Array, width: number, rows: readonly (EditedRow | null)[]): void {
    rows.forEach((row, at) => {
      if (!row) return;
      const { run, position } = row;
      if (source.lane !== run.lane || !selects(source.tokens, run, position)) return;
      const from = at * width + source.start;
      this.taken.get(edit.index)?.push({ position, row: x.slice(from, from + source.width) });
    });
  }

  /** The source's row at this position or, where its selector does not pick it, at the last picked position before. */
  private latest(edit: number, position: number): Float32Array | null {
    return this.taken.get(edit)?.findLast((entry) => entry.position <= position)?.row ?? null;
  }
}

const place = (point: PointName, layer: number): string => `${point}/${layer}`;

/** A gate without a reading is closed: NaN passes no comparison. */
function isOpen(gate: PlannedGate, { run, readings }: EditedRow): boolean {
  const value = gate.hold === 'last' ? run.held[gate.read] : readings[gate.read];
  if (Number.isNaN(value)) return false;
  return (gate.above === null || value > gate.above) && (gate.below === null || value < gate.below);
}

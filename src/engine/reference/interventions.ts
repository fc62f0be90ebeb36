import { applyEdit, applyRead } from '../../graph/edit.ts';
import type { Plan, PlannedEdit, PlannedGate, PlannedRead, PlannedSource } from '../../graph/plan.ts';
import type { PointName } from '../../graph/points.ts';
import { selects } from '../rows.ts';
import type { LaneRun, Row } from './run.ts';

/**
 * Applies a plan's nodes to the rows of a forward call. One object lives as long as a request: it keeps the rows that edits take from
 * other lanes, since a source that lies before the current call is still the latest one.
 */
export class Interventions {
  readonly plan: Plan;
  /** By edit: rows taken from its source lane, in the order of positions. */
  private readonly taken = new Map<number, { position: number; row: Float32Array }[]>();
  /** By "point/layer": edits whose source is there. */
  private readonly sources = new Map<string, PlannedEdit[]>();

  constructor(plan: Plan) {
    this.plan = plan;
    for (const edit of plan.edits) {
      if (!edit.source) continue;
      const key = place(edit.source.point, edit.source.layer);
      this.sources.set(key, [...(this.sources.get(key) ?? []), edit]);
      this.taken.set(edit.index, []);
    }
  }

  /** Whether anything happens at a point of a layer (-1 for points without one). */
  touches(point: PointName, layer: number): boolean {
    return this.plan.at(point, layer).length > 0 || this.sources.has(place(point, layer));
  }

  /**
   * x is [rows.length, width], changed in place. Nodes run in document order, each over all rows. A source at the very place of its
   * edit gives the row as the nodes before that edit left it, in whatever order the lanes are; a source at an earlier place gives what
   * all nodes there left.
   */
  apply(point: PointName, layer: number, x: Float32Array, width: number, rows: readonly Row[]): void {
    if (!this.touches(point, layer)) return;
    const slices = rows.map((_, at) => x.subarray(at * width, (at + 1) * width));
    for (const node of this.plan.at(point, layer)) {
      if (node.kind === 'edit' && node.source?.point === point && node.source.layer === layer) this.take(node, node.source, slices, rows);
      rows.forEach((row, at) => {
        if (node.kind === 'edit') this.edit(node, slices[at], row);
        else this.read(node, slices[at], row);
      });
    }
    for (const edit of this.sources.get(place(point, layer)) ?? []) {
      if (edit.source && (edit.point !== point || edit.layer !== layer)) this.take(edit, edit.source, slices, rows);
    }
  }

  private edit(edit: PlannedEdit, values: Float32Array, row: Row): void {
    const { run, position } = row;
    const strength = this.plan.strengthOf(run.lane, edit.index);
    if (strength === null || !selects(edit.tokens, run, position)) return;
    if (edit.gate && !isOpen(edit.gate, row)) return;
    const vector = edit.source ? this.latest(edit.index, position) : edit.vector;
    if (edit.source && !vector) return;
    applyEdit(edit, values.subarray(edit.start, edit.start + edit.width), strength, vector);
    run.counts[edit.index]++;
  }

  private read(read: PlannedRead, values: Float32Array, { run, position, readings }: Row): void {
    if (!selects(read.tokens, run, position)) return;
    const value = applyRead(read, values.subarray(read.start, read.start + read.width));
    readings[read.index] = value;
    if (position === run.promptLength - 1) run.held[read.index] = value;
  }

  private take(edit: PlannedEdit, source: PlannedSource, slices: readonly Float32Array[], rows: readonly Row[]): void {
    rows.forEach(({ run, position }, at) => {
      if (source.lane !== run.lane || !selects(source.tokens, run, position)) return;
      this.taken.get(edit.index)?.push({ position, row: slices[at].slice(source.start, source.start + source.width) });
    });
  }

  /** The source's row at this position or, where its selector does not pick it, at the last picked position before. */
  private latest(edit: number, position: number): Float32Array | null {
    return this.taken.get(edit)?.findLast((entry) => entry.position <= position)?.row ?? null;
  }
}

const place = (point: PointName, layer: number): string => `${point}/${layer}`;

/** A gate without a reading is closed: NaN passes no comparison. */
function isOpen(gate: PlannedGate, { run, readings }: Row): boolean {
  const value = gate.hold === 'last' ? run.held[gate.read] : readings[gate.read];
  if (Number.isNaN(value)) return false;
  return (gate.above === null || value > gate.above) && (gate.below === null || value < gate.below);
}

/** Rows of one forward call: `count` positions from each lane's cache on, lane by lane. */
export function rowsOf(runs: readonly LaneRun[], count: number, reads: number): Row[] {
  return runs.flatMap((run) =>
    Array.from({ length: count }, (_, at) => ({
      run,
      position: run.cache.length + at,
      readings: new Float64Array(reads).fill(NaN),
    })),
  );
}

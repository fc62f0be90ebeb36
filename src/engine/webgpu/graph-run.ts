import type { CompiledSelector, Plan, PlannedEdit } from '../../graph/plan.ts';
import type { PointName } from '../../graph/points.ts';
import { selects, type TokenRow } from '../rows.ts';
import type { Dispatch } from './dispatch.ts';
import type { PointView, Taps } from './forward.ts';
import { Memory } from './memory.ts';
import { Params } from './params.ts';
import { buildProgram, CARRY_SLOTS, type Program } from './program.ts';

/** One row of a call as selectors see it. */
export interface RowRef {
  readonly sequence: TokenRow;
  readonly position: number;
  /** Lane of the plan. */
  readonly lane: number;
}

const MAX_PARAMS_BYTES = 4 * 1048576;

/** Buffers of the edit kernel, kept from request to request and grown when needed, so that bind groups last. */
export class EditBuffers {
  private readonly buffers = new Map<string, GPUBuffer>();
  private paramsMemory: Memory;
  /** Uniforms of edit dispatches. They differ from graph to graph, so they are kept apart and dropped when many have gathered. */
  params: Params;

  constructor(
    private readonly memory: Memory,
    private readonly replaced: () => void,
  ) {
    this.paramsMemory = new Memory(memory.device);
    this.params = new Params(this.paramsMemory);
  }

  /** At the start of a request, when nothing recorded is in use. */
  trim(): void {
    if (this.paramsMemory.bytes < MAX_PARAMS_BYTES) return;
    this.paramsMemory.freeAll();
    this.params = new Params(this.paramsMemory);
    this.replaced();
  }

  release(): void {
    this.paramsMemory.freeAll();
  }

  ensure(name: 'program' | 'data' | 'chosen' | 'state' | 'saved', size: number): GPUBuffer {
    let buffer = this.buffers.get(name);
    if (!buffer || buffer.size < size) {
      if (buffer) {
        this.memory.free(buffer);
        this.replaced();
      }
      buffer = this.memory.storage(name, Math.max(1024, 2 ** Math.ceil(Math.log2(size))));
      this.buffers.set(name, buffer);
    }
    return buffer;
  }
}

export interface GraphRunOptions {
  readonly device: GPUDevice;
  readonly call: GPUBuffer;
  /** The row table of the activations in use. */
  readonly table: GPUBuffer;
  readonly buffers: EditBuffers;
  readonly plan: Plan;
  /** For each row of the strength and count tables (flags' low half), the lane of the plan. */
  readonly lanes: readonly number[];
  readonly slots: number;
  /** Most rows of a call, and most rows over all ring steps. */
  readonly maxRows: number;
  readonly ringRows: number;
  /** Most positions of a call. */
  readonly maxPositions: number;
}

/** A plan at work in one request: its program on the device, the token selections of each call, the counts. */
export class GraphRun implements Taps {
  readonly program: Program;
  private readonly plan: Plan;
  private readonly rowWords: number;
  private readonly countWords: number;
  private readonly readings: number;
  private readonly held: number;
  private readonly buffers: Readonly<Record<'program' | 'data' | 'chosen' | 'state' | 'saved', GPUBuffer>>;
  private readonly options: GraphRunOptions;
  /** Which of the two carry slots of each source holds its latest row; null before there is one. */
  private readonly carried: (0 | 1 | null)[];

  constructor(options: GraphRunOptions) {
    const { plan, buffers, device } = options;
    this.options = options;
    this.plan = plan;
    this.program = buildProgram(plan, options.lanes, options.maxPositions);
    const { edits, reads, sources, selectionWords } = this.program;
    this.rowWords = selectionWords + 3 * sources.length;
    this.countWords = options.lanes.length * edits;
    this.readings = this.countWords;
    this.held = this.readings + options.maxRows * reads * 2;
    const stateWords = Math.max(1, this.held + options.slots * reads * 2);
    this.buffers = {
      program: buffers.ensure('program', this.program.words.byteLength),
      data: buffers.ensure('data', this.program.data.byteLength),
      chosen: buffers.ensure('chosen', Math.max(options.ringRows, options.maxRows) * this.rowWords * 4),
      state: buffers.ensure('state', stateWords * 4),
      saved: buffers.ensure('saved', this.program.savedSize * 4),
    };
    this.carried = sources.map(() => null);
    device.queue.writeBuffer(this.buffers.program, 0, this.program.words as Uint32Array<ArrayBuffer>);
    device.queue.writeBuffer(this.buffers.data, 0, this.program.data as Float32Array<ArrayBuffer>);
    device.queue.writeBuffer(this.buffers.state, 0, new Uint32Array(stateWords));
  }

  touches(point: PointName, layer: number): boolean {
    return this.program.phases(point, layer).length > 0;
  }

  dispatches(point: PointName, layer: number, view: PointView, rows: number): Dispatch[] {
    const { program } = this;
    return this.program.phases(point, layer).map((phase) => ({
      variant: { shader: 'edit' },
      bindings: [
        { buffer: this.options.call },
        this.options.buffers.params.get([
          view.stride,
          view.column,
          phase.segments,
          0,
          program.selectionWords,
          program.sources.length,
          program.edits,
          program.reads,
          program.strengths,
          this.readings,
          this.held,
          0,
        ]),
        { buffer: view.buffer },
        { buffer: this.buffers.program },
        { buffer: this.buffers.data },
        { buffer: this.buffers.chosen },
        { buffer: this.options.table },
        { buffer: this.buffers.state },
        { buffer: this.buffers.saved },
      ],
      workgroups: [phase.count, rows, 1] as const,
      cost: rows * view.stride,
    }));
  }

  /**
   * Says for every row of a call which nodes act there. `ring` is the ring step of these rows (0 except while decoding);
   * rows of a call that start at position `from` come in any order, but all lanes of a sequence are there.
   * @param patching false where nothing takes vectors from other lanes, and rows are of many sequences
   */
  select(rows: readonly RowRef[], ring: number, patching = true): void {
    const { plan, rowWords } = this;
    const bits = new Uint32Array(rows.length * rowWords);
    const answers = new Map<CompiledSelector, boolean>();
    rows.forEach((row, index) => {
      answers.clear();
      const chosen = (selector: CompiledSelector): boolean => {
        let answer = answers.get(selector);
        if (answer === undefined) answers.set(selector, (answer = selects(selector, row.sequence, row.position)));
        return answer;
      };
      const mark = (node: number): void => {
        bits[index * rowWords + (node >>> 5)] |= 1 << (node & 31);
      };
      for (const edit of plan.edits) if (this.acts(edit, row.lane) && chosen(edit.tokens)) mark(edit.index);
      for (const read of plan.reads) if (chosen(read.tokens)) mark(plan.edits.length + read.index);
    });
    if (patching) this.selectSources(rows, bits);
    this.options.device.queue.writeBuffer(this.buffers.chosen, ring * rows.length * rowWords * 4, bits);
  }

  /** What gates look at: [rows, words] at `readings`, [slots, words] at `held`, in 32-bit words. */
  get readingState(): { readonly buffer: GPUBuffer; readonly readings: number; readonly held: number; readonly words: number } {
    return { buffer: this.buffers.state, readings: this.readings, held: this.held, words: this.program.reads * 2 };
  }

  get counts(): { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number } {
    return { buffer: this.buffers.state, offset: 0, size: this.countWords * 4 };
  }

  /** Counts by row of the strength table, from the bytes read back. */
  countsOf(bytes: ArrayBuffer): Uint32Array[] {
    const all = new Uint32Array(bytes);
    const { edits } = this.program;
    return this.options.lanes.map((_, row) => all.subarray(row * edits, (row + 1) * edits));
  }

  private acts(edit: PlannedEdit, lane: number): boolean {
    return this.plan.strengthOf(lane, edit.index) !== null;
  }

  /** For each source: the slot an edited row takes it from, and the slots the source lane's row is saved to. */
  private selectSources(rows: readonly RowRef[], bits: Uint32Array): void {
    const { sources, selectionWords } = this.program;
    sources.forEach((source, index) => {
      const from = Math.min(...rows.map((row) => row.position));
      const picked = rows
        .filter((row) => row.lane === source.lane && selects(source.tokens, row.sequence, row.position))
        .map((row) => row.position)
        .sort((a, b) => a - b);
      const carry = this.carried[index];
      const next = carry === 0 ? 1 : 0;
      const latest = picked.at(-1);
      rows.forEach((row, r) => {
        const at = r * this.rowWords + selectionWords + 3 * index;
        const position = picked.filter((p) => p <= row.position).at(-1);
        if (position !== undefined) bits[at] = CARRY_SLOTS + position - from + 1;
        else if (carry !== null) bits[at] = carry + 1;
        if (row.lane === source.lane && picked.includes(row.position)) {
          bits[at + 1] = CARRY_SLOTS + row.position - from + 1;
          if (row.position === latest) bits[at + 2] = next + 1;
        }
      });
      if (latest !== undefined) this.carried[index] = next;
    });
  }
}

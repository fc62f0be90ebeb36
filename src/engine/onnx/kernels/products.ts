import { GROUP, groupsOf } from '../../../model/quantize.ts';
import type { Matrix } from '../matrix.ts';
import { Arena, ARENA_BYTES, FIRST_PAGES, sharedPages, workBytes, type ProductSizes } from './arena.ts';
import { activation, blockBytes, matrixBytes, STRAND, strandsOf, weave, type KernelKind } from './layout.ts';
import { productModule, ROWS, type ProductExports } from './product-kernels.ts';
import { controlBytes, Team, type Helper, type HelperInit } from './team.ts';

/** What the machine gives to the kernels. */
export interface KernelHost {
  /** Whether the relaxed SIMD instructions are there. */
  readonly relaxed: boolean;
  /** Threads that a product may use, this one among them; 1 where memory cannot be shared. */
  readonly mostThreads: number;
  /** Starts a thread that runs `help` of team.ts; resolves once it does. */
  readonly start: (init: HelperInit) => Promise<Helper>;
}

/** Matrices that are multiplied with the same rows, woven one behind the other. */
export interface WovenMatrices {
  readonly arena: number;
  readonly kind: KernelKind;
  readonly inputs: number;
  readonly at: number;
  readonly strands: number;
  readonly parts: readonly { readonly outputs: number; readonly firstStrand: number; readonly bias: Float32Array | null }[];
}

const REPEATS = 5;

/** Products with quantised weights on kernels of our own. Made for one model: matrices are added, then `ready`, then products. */
export class Products {
  private readonly module: WebAssembly.Module;
  private readonly arenas: Arena[] = [];
  private instances: ProductExports[] = [];
  private team: Team | null = null;
  /** Bytes of woven matrices. */
  bytes = 0;
  /** What takes longest, and its bytes: threads are chosen by it. */
  private largest: { readonly woven: WovenMatrices; readonly bytes: number } | null = null;

  constructor(
    private readonly host: KernelHost,
    private readonly sizes: ProductSizes,
  ) {
    const module = productModule(host.relaxed, FIRST_PAGES, this.shared ? sharedPages : null);
    this.module = new WebAssembly.Module(module);
  }

  private get shared(): boolean {
    return this.host.mostThreads > 1;
  }

  /** Whether these can be woven: all quantised alike, and not too many for one memory. */
  takes(matrices: readonly Matrix[]): boolean {
    const kinds = new Set(matrices.map(({ weights }) => weights.kind));
    if (kinds.size !== 1 || kinds.has('f32')) return false;
    return workBytes(this.sizes) + bytesOf(matrices) + 2 * ALIGNMENT <= ARENA_BYTES;
  }

  /** @throws device/out-of-memory; the matrices are copied */
  add(matrices: readonly Matrix[]): WovenMatrices {
    const [{ inputs }] = matrices;
    const bytes = bytesOf(matrices);
    let arena = this.arenas.findIndex((one) => one.fits(bytes));
    if (arena < 0) arena = this.arenas.push(new Arena(this.sizes, this.shared)) - 1;
    const at = this.arenas[arena].reserve(bytes);
    this.bytes += bytes;
    const memory = new Uint8Array(this.arenas[arena].memory.buffer, at, bytes);
    let strands = 0;
    let kind: KernelKind = 'q4';
    const parts = matrices.map(({ outputs, weights, bias }) => {
      if (weights.kind === 'f32') throw new Error('f32 weights are not woven');
      ({ kind } = weights);
      const firstStrand = strands;
      weave(weights.quantized, outputs, inputs, kind, memory.subarray(firstStrand * groupsOf(inputs) * blockBytes[kind]));
      strands += strandsOf(outputs);
      return { outputs, firstStrand, bias };
    });
    const woven = { arena, kind, inputs, at, strands, parts };
    if (!this.largest || bytes > this.largest.bytes) this.largest = { woven, bytes };
    return woven;
  }

  /** After the last matrix: threads are started, and it is measured how many help. Says which; null where nothing was added. */
  async ready(now: () => number): Promise<string | null> {
    if (!this.largest) return null;
    const memories = this.arenas.map(({ memory }) => memory);
    this.instances = memories.map(
      (memory) => new WebAssembly.Instance(this.module, { env: { memory } }).exports as unknown as ProductExports,
    );
    const control = this.shared ? new SharedArrayBuffer(controlBytes) : null;
    const init = control && { module: this.module, memories, control };
    const asked = init ? Array.from({ length: this.host.mostThreads - 1 }, () => this.host.start(init)) : [];
    const started = await Promise.allSettled(asked);
    const helpers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const missing = asked.length - helpers.length;
    this.team = new Team(this.instances, control, helpers);
    const line = this.choose(this.team, this.largest.woven, now);
    return missing === 0 ? line : `${line}; ${missing} of ${asked.length} more threads did not start`;
  }

  /** Has products use so many threads, whatever was measured. */
  useThreads(threads: number): void {
    if (this.team) this.team.threads = Math.max(1, Math.min(threads, this.team.most));
  }

  /** Rows x [rows, inputs] times each matrix: outs[i] is [rows, outputs of matrix i]. */
  multiply(woven: WovenMatrices, rows: number, x: Float32Array, outs: readonly Float32Array[]): void {
    for (let row = 0; row < rows;) {
      const count = rows - row < ROWS ? 1 : ROWS;
      this.block(woven, row, count, x, outs);
      row += count;
    }
  }

  release(): void {
    this.team?.stop();
    this.team = null;
    this.instances = [];
    this.arenas.length = 0;
  }

  private block(woven: WovenMatrices, first: number, rows: number, x: Float32Array, outs: readonly Float32Array[]): void {
    const { team } = this;
    if (!team) throw new Error('products before ready()');
    const { inputs, kind, strands } = woven;
    const arena = this.arenas[woven.arena];
    const groups = groupsOf(inputs);
    const { buffer } = arena.memory;
    const input = new Float32Array(buffer, arena.input, groups * GROUP);
    if (inputs % GROUP !== 0) input.fill(0, inputs);
    for (let row = 0; row < rows; row++) {
      input.set(x.subarray((first + row) * inputs, (first + row + 1) * inputs));
      const to = arena.activations + row * activation.bytes;
      this.instances[woven.arena].quantize(arena.input, to, groups, rows * activation.bytes);
    }
    const width = STRAND * strands;
    team.run({
      kernel: `${kind}${rows === 1 ? 'x1' : 'xN'}`,
      arena: woven.arena,
      weights: woven.at,
      x: arena.activations,
      to: arena.output,
      strands,
      blocks: groups,
      stride: 4 * width,
      strandBytes: groups * blockBytes[kind],
    });
    woven.parts.forEach(({ outputs, firstStrand, bias }, part) => {
      for (let row = 0; row < rows; row++) {
        const target = outs[part].subarray((first + row) * outputs, (first + row + 1) * outputs);
        target.set(new Float32Array(buffer, arena.output + 4 * (row * width + STRAND * firstStrand), outputs));
        if (bias) for (let i = 0; i < outputs; i++) target[i] += bias[i];
      }
    });
  }

  /** The number of threads, of 1, 2, 4, ... and the most, with which the largest product of one row is fastest. */
  private choose(team: Team, largest: WovenMatrices, now: () => number): string {
    const x = new Float32Array(largest.inputs).fill(0.5);
    const outs = largest.parts.map(({ outputs }) => new Float32Array(outputs));
    const times: { readonly threads: number; readonly time: number }[] = [];
    for (let threads = 1; threads <= team.most; threads = threads < team.most ? Math.min(2 * threads, team.most) : Infinity) {
      team.threads = threads;
      const taken: number[] = [];
      for (let i = 0; i <= REPEATS; i++) {
        const before = now();
        this.multiply(largest, 1, x, outs);
        // The first one wakes threads and compiles.
        if (i > 0) taken.push(now() - before);
      }
      times.push({ threads, time: taken.sort((a, b) => a - b)[REPEATS >> 1] });
    }
    const best = times.reduce((a, b) => (b.time < a.time ? b : a));
    team.threads = best.threads;
    if (times.length === 1) return 'one thread';
    const ratio = (time: number): string => (best.time > 0 ? time / best.time : 1).toFixed(2);
    const shown = times.map(({ threads, time }) => `${threads}: ${ratio(time)}`).join(', ');
    return `${best.threads} ${best.threads === 1 ? 'thread' : 'threads'}, the fastest (time by threads ${shown})`;
  }
}

const ALIGNMENT = 64;

const bytesOf = (matrices: readonly Matrix[]): number =>
  matrices.reduce(
    (sum, { outputs, inputs, weights }) => sum + (weights.kind === 'f32' ? 0 : matrixBytes(outputs, inputs, weights.kind)),
    0,
  );

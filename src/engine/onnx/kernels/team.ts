import { TillerError } from '../../../errors/error.ts';
import { STRAND, type KernelKind } from './layout.ts';
import type { ProductExports } from './product-kernels.ts';

/**
 * Several threads at one product. Each takes the next chunk of strands from a counter, so a thread that the machine keeps waiting holds
 * nobody up for more than its chunk. Threads look for work in a loop for a moment, because the next product of a token is near, and sleep then.
 */

/** What a helping thread is handed; it then never returns to its event loop. */
export interface HelperInit {
  readonly module: WebAssembly.Module;
  readonly memories: readonly WebAssembly.Memory[];
  /** i32 numbers as `slot` names them. */
  readonly control: SharedArrayBuffer;
}

/** A started thread. */
export interface Helper {
  stop(): void;
}

export interface ProductJob {
  readonly kernel: `${KernelKind}${'x1' | 'xN'}`;
  readonly arena: number;
  /** Byte addresses. */
  readonly weights: number;
  readonly x: number;
  readonly to: number;
  readonly strands: number;
  readonly blocks: number;
  /** Bytes from output row to output row. */
  readonly stride: number;
  /** Bytes of a strand's weights. */
  readonly strandBytes: number;
}

const kernels = ['q4x1', 'q4xN', 'q8x1', 'q8xN'] as const;
const slot = {
  generation: 0,
  stop: 1,
  /** Chunks nobody has taken; below 1 where there are none. */
  left: 2,
  done: 3,
  chunks: 4,
  chunk: 5,
  kernel: 6,
  arena: 7,
  weights: 8,
  x: 9,
  to: 10,
  strands: 11,
  blocks: 12,
  stride: 13,
  strandBytes: 14,
} as const;
const SLOTS = 16;

/** Looks at the control numbers before a thread sleeps: some tens of microseconds. */
const SPINS = 4000;
const CHUNKS_A_THREAD = 4;
/** A chunk takes milliseconds; a thread that a browser has ended never ends it. */
const STALLED_MS = 60_000;
/** A product of fewer strands is done before another thread is awake. */
const SMALLEST_CHUNK = 16;

export const controlBytes = SLOTS * 4;

/** Runs products on this thread and on helpers. */
export class Team {
  private readonly control: Int32Array;
  /** Threads that take part, this one among them. */
  threads = 1;

  constructor(
    private readonly instances: readonly ProductExports[],
    control: SharedArrayBuffer | null,
    private readonly helpers: readonly Helper[],
  ) {
    this.control = new Int32Array(control ?? new ArrayBuffer(controlBytes));
  }

  get most(): number {
    return 1 + this.helpers.length;
  }

  /** @throws internal where a thread is gone */
  run(job: ProductJob): void {
    const chunk = Math.max(SMALLEST_CHUNK, Math.ceil(job.strands / (this.threads * CHUNKS_A_THREAD)));
    const chunks = Math.ceil(job.strands / chunk);
    if (this.threads === 1 || chunks === 1) {
      call(this.instances[job.arena], job.kernel, job, 0, job.strands);
      return;
    }
    const { control } = this;
    control[slot.kernel] = kernels.indexOf(job.kernel);
    for (const name of ['arena', 'weights', 'x', 'to', 'strands', 'blocks', 'stride', 'strandBytes'] as const)
      control[slot[name]] = job[name];
    control[slot.chunk] = chunk;
    control[slot.chunks] = chunks;
    Atomics.store(control, slot.done, 0);
    // Everything about the job is written before its chunks can be taken.
    Atomics.store(control, slot.left, chunks);
    Atomics.add(control, slot.generation, 1);
    Atomics.notify(control, slot.generation, this.threads - 1);
    takeChunks(control, this.instances);
    for (let spins = 0; ; spins++) {
      const done = Atomics.load(control, slot.done);
      if (done === chunks) return;
      if (spins > SPINS && Atomics.wait(control, slot.done, done, STALLED_MS) === 'timed-out')
        throw new TillerError('internal', {
          problem: `a thread of the kernels has not ended its part of a product in ${STALLED_MS / 1000} s`,
        });
    }
  }

  stop(): void {
    Atomics.store(this.control, slot.stop, 1);
    Atomics.add(this.control, slot.generation, 1);
    if (this.helpers.length > 0) Atomics.notify(this.control, slot.generation);
    for (const helper of this.helpers) helper.stop();
  }
}

/** The life of a helping thread: returns when its team is stopped. */
export function help({ module, memories, control }: HelperInit): void {
  const instances = memories.map((memory) => new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ProductExports);
  const numbers = new Int32Array(control);
  let seen = 0;
  while (Atomics.load(numbers, slot.stop) === 0) {
    let now = Atomics.load(numbers, slot.generation);
    for (let spins = 0; now === seen && spins < SPINS; spins++) now = Atomics.load(numbers, slot.generation);
    if (now === seen) {
      Atomics.wait(numbers, slot.generation, seen);
      continue;
    }
    seen = now;
    takeChunks(numbers, instances);
  }
}

/** A chunk that was taken is one of the job whose numbers are there: the next job is posted only when all chunks of this one are done. */
function takeChunks(control: Int32Array, instances: readonly ProductExports[]): void {
  for (;;) {
    const index = Atomics.sub(control, slot.left, 1) - 1;
    if (index < 0) return;
    const strands = control[slot.strands];
    const from = index * control[slot.chunk];
    const job = {
      weights: control[slot.weights],
      x: control[slot.x],
      to: control[slot.to],
      blocks: control[slot.blocks],
      stride: control[slot.stride],
      strandBytes: control[slot.strandBytes],
    };
    call(instances[control[slot.arena]], kernels[control[slot.kernel]], job, from, Math.min(control[slot.chunk], strands - from));
    Atomics.add(control, slot.done, 1);
    Atomics.notify(control, slot.done);
  }
}

type JobNumbers = Pick<ProductJob, 'weights' | 'x' | 'to' | 'blocks' | 'stride' | 'strandBytes'>;

function call(instance: ProductExports, kernel: ProductJob['kernel'], job: JobNumbers, from: number, strands: number): void {
  const weights = job.weights + from * job.strandBytes;
  const to = job.to + 4 * STRAND * from;
  if (kernel === 'q4x1' || kernel === 'q8x1') instance[kernel](weights, job.x, to, strands, job.blocks);
  else instance[kernel](weights, job.x, to, strands, job.blocks, job.stride);
}

import { TillerError } from '../../../errors/error.ts';
import { GROUP, groupsOf } from '../../../model/quantize.ts';
import { activation, STRAND, strandsOf } from './layout.ts';
import { ROWS } from './product-kernels.ts';

const PAGE = 65536;
/** Addresses stay positive numbers of 32 bits. */
export const ARENA_BYTES = 2 ** 31;
const MOST_PAGES = ARENA_BYTES / PAGE;
export const FIRST_PAGES = 1;
/** The first bytes stay free: no address is 0. */
const START = 64;
const ALIGN = 64;

/** The largest operands of any product, in numbers. */
export interface ProductSizes {
  readonly inputs: number;
  readonly outputs: number;
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;

/** Bytes of inputs, rounded inputs and outputs of one call. */
export function workBytes({ inputs, outputs }: ProductSizes): number {
  const groups = groupsOf(inputs);
  return aligned(4 * GROUP * groups) + aligned(ROWS * groups * activation.bytes) + aligned(ROWS * 4 * STRAND * strandsOf(outputs));
}

export const sharedPages = { most: MOST_PAGES };

/** A WebAssembly memory with weights, and room for the operands of one product. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  /** Byte addresses: one row in f32, rounded rows, results. */
  readonly input: number;
  readonly activations: number;
  readonly output: number;
  private top: number;

  constructor(sizes: ProductSizes, shared: boolean) {
    this.memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared });
    const groups = groupsOf(sizes.inputs);
    this.input = START;
    this.activations = this.input + aligned(4 * GROUP * groups);
    this.output = this.activations + aligned(ROWS * groups * activation.bytes);
    this.top = START;
    this.reserve(workBytes(sizes));
  }

  /** Whether so many more bytes fit. */
  fits(bytes: number): boolean {
    return aligned(this.top + bytes) <= ARENA_BYTES;
  }

  /** The address of room for so many bytes, all 0. @throws device/out-of-memory */
  reserve(bytes: number): number {
    const at = this.top;
    const end = aligned(at + bytes);
    const missing = Math.ceil(end / PAGE) - this.memory.buffer.byteLength / PAGE;
    if (missing > 0) {
      try {
        this.memory.grow(missing);
      } catch (cause) {
        const needed = `${Math.ceil((missing * PAGE) / 2 ** 20)} MiB more`;
        throw new TillerError('device/out-of-memory', { what: 'a part of the model', needed }, { cause });
      }
    }
    this.top = end;
    return at;
  }
}

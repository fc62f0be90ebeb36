import { GROUP, groupsOf, type QuantizedRows } from '../../../model/quantize.ts';

/**
 * How the kernels' operands lie in memory. Four rows of a matrix are woven together, so that one vector of four lanes holds the sums of
 * four outputs and nothing is added across lanes. Two such quads lie together and share every look at the activations; the scales of a
 * block lie behind its integers. So a matrix is read in one stream: with two, reading from memory was a fifth slower.
 */

const LANES = 4;
/** Outputs that are computed together: a strand. */
export const STRAND = 8;
export const QUADS = STRAND / LANES;
const SCALES = 2 * STRAND;

export type KernelKind = 'q4' | 'q8';

/** Bytes of the integers of GROUP inputs of one quad. */
export const quadBytes: Readonly<Record<KernelKind, number>> = { q4: (LANES * GROUP) / 2, q8: LANES * GROUP };
/** Bytes of GROUP inputs of a strand: the quads' integers, then STRAND scales in half precision. */
export const blockBytes: Readonly<Record<KernelKind, number>> = { q4: QUADS * quadBytes.q4 + SCALES, q8: QUADS * quadBytes.q8 + SCALES };

/**
 * GROUP inputs of one row, rounded to int8 (bytes from the start):
 *   0   i8 [32]    integers
 *   32  f32        scale * SCALE_UP
 *   36  i32        -8 * sum of the integers: q4 is stored as q + 8
 *   40  i16 [32]   the integers again, of each eight in the order `pairOrder`
 */
export const activation = { bytes: 104, scale: 32, correction: 36, wide: 40 } as const;

/** Pairs of inputs whose int4 weights are 16 bits apart, as the kernel without relaxed SIMD takes them out. */
export const pairOrder = [0, 2, 4, 6, 1, 3, 5, 7] as const;

/**
 * The bits of a half shifted to where those of an f32 are stand for 2^-112 of its value. Scales of activations make up for 2^100 of it and
 * the end of a row for the rest: 2^112 at once would overflow for activations that occur.
 */
export const SCALE_UP = 2 ** 100;
export const SCALE_REST = 2 ** 12;

export const strandsOf = (outputs: number): number => Math.ceil(outputs / STRAND);

/** Bytes of a matrix. */
export const matrixBytes = (outputs: number, inputs: number, kind: KernelKind): number =>
  strandsOf(outputs) * groupsOf(inputs) * blockBytes[kind];

/**
 * Weaves rows [outputs, inputs] into `target`, which has `matrixBytes`. Rows that fill the last strand up give 0.
 * Within 8 inputs, of a quad's rows, an int4 byte holds input b in its low and b + 4 in its high bits: b is the byte of the row's lane. An int8
 * matrix has pairs of inputs in the order `pairOrder`, each pair of a quad's rows together.
 */
export function weave({ data, scales }: QuantizedRows, outputs: number, inputs: number, kind: KernelKind, target: Uint8Array): void {
  const groups = groupsOf(inputs);
  const bytes = blockBytes[kind];
  const rowBytes = groups * (kind === 'q4' ? GROUP / 2 : GROUP);
  const weaveBlock = kind === 'q4' ? weave4 : weave8;
  let block = 0;
  for (let first = 0; first < outputs; first += STRAND) {
    for (let group = 0; group < groups; group++, block += bytes) {
      for (let lane = 0; lane < STRAND; lane++) {
        const row = first + lane;
        const at = block + bytes - SCALES + 2 * lane;
        const scale = row < outputs ? scales[row * groups + group] : 0;
        target[at] = scale & 255;
        target[at + 1] = scale >> 8;
        const quad = block + quadBytes[kind] * Math.floor(lane / LANES);
        if (row < outputs) weaveBlock(data, row * rowBytes + (group * rowBytes) / groups, target, quad, lane % LANES);
      }
    }
  }
}

/** Stored: low nibble the even input. */
function weave4(data: Uint8Array, from: number, target: Uint8Array, quad: number, lane: number): void {
  for (let eight = 0; eight < 4; eight++) {
    const at = quad + 16 * eight + 4 * lane;
    const pairs = from + 4 * eight;
    for (let half = 0; half < 2; half++) {
      const [low, high] = [data[pairs + half], data[pairs + 2 + half]];
      target[at + 2 * half] = (low & 15) | ((high & 15) << 4);
      target[at + 2 * half + 1] = (low >> 4) | (high & 0xf0);
    }
  }
}

function weave8(data: Uint8Array, from: number, target: Uint8Array, quad: number, lane: number): void {
  for (let i = 0; i < GROUP; i += 2) {
    const at = quad + 4 * i + 2 * lane;
    const eight = from + (i & ~7);
    target[at] = data[eight + pairOrder[i & 7]];
    target[at + 1] = data[eight + pairOrder[(i & 7) + 1]];
  }
}

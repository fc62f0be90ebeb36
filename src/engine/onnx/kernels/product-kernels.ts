import {
  add,
  advance,
  and,
  f32,
  f32x4,
  FunctionBuilder,
  get,
  i16x8,
  i32x4,
  i8x16,
  laneI32,
  i32,
  mulI32,
  set,
  splatLane,
  storeI32,
  v128,
  wasmModule,
  type Code,
  type SharedPages,
} from '../../../wasm/assembler.ts';
import { activation, blockBytes, quadBytes, QUADS, SCALE_REST, SCALE_UP, STRAND, type KernelKind } from './layout.ts';

/**
 * Products of int4 and int8 matrices with activations rounded to int8 in blocks of 32, sums in integers within a block and in f32 over
 * blocks: what ONNX Runtime's MatMulNBits with accuracy level 4 and llama.cpp's Q8_0 activations compute. layout.ts says how operands lie.
 * The plain forms of these loops are in product-kernels.test.ts.
 */
export interface ProductExports {
  /** Rounds `blocks` blocks of 32 f32 at `x` to activation blocks at `to`, `stride` bytes apart. */
  quantize(x: number, to: number, blocks: number, stride: number): void;
  /** One row of activations times `strands` * 8 outputs of a matrix at `weights`: f32 at `to`. */
  q4x1(weights: number, x: number, to: number, strands: number, blocks: number): void;
  q8x1(weights: number, x: number, to: number, strands: number, blocks: number): void;
  /** ROWS rows, their activation blocks interleaved: block 0 of every row, block 1, ...; `stride` bytes from output row to output row. */
  q4xN(weights: number, x: number, to: number, strands: number, blocks: number, stride: number): void;
  q8xN(weights: number, x: number, to: number, strands: number, blocks: number, stride: number): void;
}

/** Rows that share one reading of the weights: twice as fast a row as one by itself; more gain nothing. */
export const ROWS = 4;

/** @param relaxed whether the relaxed SIMD instructions are there, with which int4 takes half the time */
export function productModule(relaxed: boolean, pages: number, shared: SharedPages | null): Uint8Array<ArrayBuffer> {
  return wasmModule(
    {
      quantize: quantizeFunction(),
      q4x1: productFunction('q4', relaxed, 1),
      q8x1: productFunction('q8', relaxed, 1),
      q4xN: productFunction('q4', relaxed, ROWS),
      q8xN: productFunction('q8', relaxed, ROWS),
    },
    pages,
    shared,
  );
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Even bytes, then odd ones, of each eight i16: 0 2 4 6 1 3 5 7, `pairOrder` of layout.ts. */
const pairLanes = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];

function quantizeFunction(): FunctionBuilder {
  const f = new FunctionBuilder(4);
  const [x, to, blocks, stride] = [0, 1, 2, 3];
  const values = f.group(8);
  const largest = f.local('v128');
  const sums = f.local('v128');
  const inverse = f.local('v128');
  const shorts = f.group(4);
  const most = f.local('f32');
  const rotated = (value: Code, by: number): Code =>
    i8x16.shuffle(
      value,
      value,
      range(16).map((byte) => (byte + 4 * by) % 16),
    );
  const acrossLanes = (local: number, combine: (a: Code, b: Code) => Code): Code[] =>
    [2, 1].map((by) => set(local, combine(get(local), rotated(get(local), by))));
  return f.body(
    f.repeat(get(blocks), () => [
      ...values.map((value, i) => set(value, v128.load(get(x), 16 * i))),
      set(largest, f32x4.abs(get(values[0]))),
      ...values.slice(1).map((value) => set(largest, f32x4.max(get(largest), f32x4.abs(get(value))))),
      ...acrossLanes(largest, f32x4.max),
      set(most, f32.lane(get(largest), 0)),
      // A block of zeros has the scale 0.
      set(
        inverse,
        f32x4.splat(f32.select(f32.div(f32.constant(127), get(most)), f32.constant(0), f32.greater(get(most), f32.constant(0)))),
      ),
      ...values.map((value) => set(value, i32x4.fromF32(f32x4.nearest(f32x4.mul(get(value), get(inverse)))))),
      set(sums, get(values[0])),
      ...values.slice(1).map((value) => set(sums, i32x4.add(get(sums), get(value)))),
      ...acrossLanes(sums, i32x4.add),
      ...shorts.map((short, i) => set(short, i16x8.narrow(get(values[2 * i]), get(values[2 * i + 1])))),
      ...[0, 1].map((half) => v128.store(get(to), 16 * half, i8x16.narrow(get(shorts[2 * half]), get(shorts[2 * half + 1])))),
      f32.store(get(to), activation.scale, f32.mul(f32.mul(get(most), f32.constant(1 / 127)), f32.constant(SCALE_UP))),
      storeI32(get(to), activation.correction, mulI32(laneI32(get(sums), 0), i32(-8))),
      ...shorts.map((short, i) => v128.store(get(to), activation.wide + 16 * i, i8x16.shuffle(get(short), get(short), pairLanes))),
      advance(x, 128),
      set(to, [...get(to), ...get(stride), 0x6a]),
    ]),
  );
}

/** Code that computes the integer sums of one block, and the sums: i32x4 by quad and row. */
interface BlockSums {
  readonly code: readonly Code[];
  readonly sums: readonly (readonly Code[])[];
}

/** What the code of a block is written with. */
interface BlockContext {
  readonly f: FunctionBuilder;
  /** Code that runs once, before the loops. */
  readonly setUp: Code[];
  /** Locals of addresses: of the block, and of the first row's activations. */
  readonly weights: number;
  readonly input: number;
  readonly rows: number;
  /** Quads of the strand that are computed together. */
  readonly quads: readonly number[];
}

function productFunction(kind: KernelKind, relaxed: boolean, rows: number): FunctionBuilder {
  const f = new FunctionBuilder(rows === 1 ? 5 : 6);
  const [strand, x, to, strands, blocks, stride] = [0, 1, 2, 3, 4, 5];
  const weights = f.local('i32');
  const input = f.local('i32');
  const output = f.local('i32');
  const bytes = blockBytes[kind];
  const scale = f.local('v128');
  const scaleBits = f.local('v128');
  const setUp: Code[] = [set(scaleBits, i32x4.constant(0x8fffe000 | 0))];
  const sumsOf = kind === 'q8' ? wideSums : relaxed ? relaxedNibbleSums : nibbleSums;
  const field = (row: number, at: number): Code => v128.loadSplat32(get(input), row * activation.bytes + at);
  const accumulators = range(QUADS).map(() => f.group(rows));
  // Two quads share the look at one row; with more rows there are not registers enough for both.
  const together = rows === 1 ? [range(QUADS)] : range(QUADS).map((quad) => [quad]);
  const passes = together.flatMap((quads) => {
    const block = sumsOf({ f, setUp, weights, input, rows, quads });
    const addBlock = quads.flatMap((quad, at) => [
      set(scale, and(i32x4.shiftLeft(v128.load16x4(get(weights), QUADS * quadBytes[kind] + 8 * quad), 13), get(scaleBits))),
      ...accumulators[quad].map((accumulator, row) => {
        const sum = block.sums[at][row];
        const whole = kind === 'q8' ? sum : i32x4.add(sum, field(row, activation.correction));
        const scaled = f32x4.mul(f32x4.fromI32(whole), f32x4.mul(get(scale), field(row, activation.scale)));
        return set(accumulator, f32x4.add(get(accumulator), scaled));
      }),
    ]);
    const storeRow = (row: number): Code[] =>
      quads.map((quad) =>
        v128.store(get(output), 16 * quad, f32x4.mul(get(accumulators[quad][row]), f32x4.splat(f32.constant(SCALE_REST)))),
      );
    return [
      ...quads.flatMap((quad) => accumulators[quad].map((accumulator) => set(accumulator, f32x4.zero))),
      set(weights, get(strand)),
      set(input, get(x)),
      f.repeat(get(blocks), () => [...block.code, ...addBlock, advance(weights, bytes), advance(input, rows * activation.bytes)]),
      set(output, get(to)),
      ...range(rows).flatMap((row) => [...storeRow(row), ...(row + 1 < rows ? [set(output, add(get(output), get(stride)))] : [])]),
    ];
  });
  // After a strand's last block comes the first of the next.
  const next = [set(strand, get(weights)), advance(to, 4 * STRAND)];
  // The passes' code adds to `setUp`, so it is written first.
  return f.body(
    ...setUp,
    f.repeat(get(strands), () => [...passes, ...next]),
  );
}

/**
 * int4 with i8 activations. Inputs are loaded 16 at a time and spread from the register: older V8 moves loads to the front of a loop, and
 * with a load for every four inputs it runs out of registers. A sum of 16 products of at most 15 * 127 fits an i16.
 */
function relaxedNibbleSums({ f, setUp, weights, input, rows, quads }: BlockContext): BlockSums {
  const [mask, ones, word, values] = f.group(4);
  const spread = f.group(2);
  /** By eight inputs of a half and low or high bits: taken out once for all rows. */
  const nibbles = range(2).map(() => f.group(2));
  const sums = quads.map(() => f.group(rows));
  setUp.push(set(mask, i8x16.constant(15)), set(ones, i32x4.constant(0x00010001)));
  const low = and(get(word), get(mask));
  const high = and(i16x8.shiftRight(get(word), 4), get(mask));
  const loadWord = (quad: number, eight: number): Code => set(word, v128.load(get(weights), quad * quadBytes.q4 + 16 * eight));
  const loadValues = (row: number, half: number): Code => set(values, v128.load(get(input), row * activation.bytes + 16 * half));
  const spreadValues = (eight: number): Code[] => spread.map((local, i) => set(local, splatLane(get(values), 2 * (eight % 2) + i)));
  const addTo = (sum: number, eight: number, first: Code, second: Code): Code => {
    const both = i16x8.add(i16x8.relaxedDot(get(spread[0]), first), i16x8.relaxedDot(get(spread[1]), second));
    return set(sum, eight === 0 ? both : i16x8.add(get(sum), both));
  };
  const code: Code[] = [];
  if (rows === 1) {
    for (const eight of range(4)) {
      if (eight % 2 === 0) code.push(loadValues(0, eight / 2));
      code.push(...spreadValues(eight));
      sums.forEach(([sum], at) => code.push(loadWord(quads[at], eight), addTo(sum, eight, low, high)));
    }
  } else {
    for (const [at, half] of quads.flatMap((_, one) => [0, 1].map((other) => [one, other]))) {
      const eights = [2 * half, 2 * half + 1];
      for (const eight of eights) code.push(loadWord(quads[at], eight), set(nibbles[eight % 2][0], low), set(nibbles[eight % 2][1], high));
      for (let row = 0; row < rows; row++) {
        code.push(loadValues(row, half));
        for (const eight of eights) {
          const [lows, highs] = nibbles[eight % 2].map(get);
          code.push(...spreadValues(eight), addTo(sums[at][row], eight, lows, highs));
        }
      }
    }
  }
  return { code, sums: sums.map((quad) => quad.map((sum) => i32x4.dot(get(sum), get(ones)))) };
}

/** int4 with i16 activations, in what WebAssembly has had from the start. */
function nibbleSums(context: BlockContext): BlockSums {
  const { f, setUp, weights } = context;
  const [mask, word] = f.group(2);
  setUp.push(set(mask, i32x4.constant(0x000f000f)));
  return pairSums(context, (quad, eight) => ({
    before: [set(word, v128.load(get(weights), quad * quadBytes.q4 + 16 * eight))],
    pair: (k) => and(k === 0 ? get(word) : i16x8.shiftRight(get(word), 4 * k), get(mask)),
  }));
}

/** int8 with i16 activations. */
function wideSums(context: BlockContext): BlockSums {
  return pairSums(context, (quad, eight) => ({
    before: [],
    pair: (k) => v128.load8x8(get(context.weights), quad * quadBytes.q8 + 32 * eight + 8 * k),
  }));
}

/** Pairs of i16 weights, in the order `pairOrder`, with pairs of activations. */
function pairSums(
  { f, input, rows, quads }: BlockContext,
  load: (quad: number, eight: number) => { readonly before: readonly Code[]; readonly pair: (k: number) => Code },
): BlockSums {
  const values = f.local('v128');
  const spread = f.group(4);
  const pairs = f.group(4);
  const sums = quads.map(() => f.group(rows));
  const spreadValues = (row: number, eight: number): Code[] => [
    set(values, v128.load(get(input), row * activation.bytes + activation.wide + 16 * eight)),
    ...spread.map((local, k) => set(local, splatLane(get(values), k))),
  ];
  const addTo = (sum: number, eight: number, pair: (k: number) => Code): Code => {
    const product = (k: number): Code => i32x4.dot(get(spread[k]), pair(k));
    const four = i32x4.add(i32x4.add(product(0), product(1)), i32x4.add(product(2), product(3)));
    return set(sum, eight === 0 ? four : i32x4.add(get(sum), four));
  };
  const code: Code[] = [];
  for (const eight of range(4)) {
    if (rows === 1) code.push(...spreadValues(0, eight));
    sums.forEach((quadSums, at) => {
      const { before, pair } = load(quads[at], eight);
      code.push(...before);
      if (rows === 1) {
        code.push(addTo(quadSums[0], eight, pair));
        return;
      }
      code.push(...pairs.map((local, k) => set(local, pair(k))));
      quadSums.forEach((sum, row) =>
        code.push(
          ...spreadValues(row, eight),
          addTo(sum, eight, (k) => get(pairs[k])),
        ),
      );
    });
  }
  return { code, sums: sums.map((quad) => quad.map(get)) };
}

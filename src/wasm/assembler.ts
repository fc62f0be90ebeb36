/**
 * Just enough of an assembler to write a WebAssembly module with SIMD at run time: no toolchain, nothing to keep in step with its source, and
 * sizes become constants of the code. Opcodes: the core specification of WebAssembly 2.0, chapter 5.4.
 */

/** Instructions as bytes. */
export type Code = readonly number[];

const unsigned = (value: number): number[] => {
  const out: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return out;
};

const signed = (value: number): number[] => {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return [...out, low];
    out.push(low | 0x80);
  }
};

const simd = (opcode: number): ((...operands: Code[]) => Code) => {
  const bytes = [0xfd, ...unsigned(opcode)];
  return (...operands) => [...operands.flat(), ...bytes];
};
/** Memory access: address, then a constant number of bytes added to it. Alignment is a hint; 4 bytes is always true here. */
const load =
  (opcode: number) =>
  (address: Code, offset: number): Code => [...address, 0xfd, ...unsigned(opcode), 2, ...unsigned(offset)];

export const v128 = {
  load: load(0x00),
  /** Four i16 as i32; eight i8 as i16. */
  load16x4: load(0x03),
  load8x8: load(0x01),
  loadSplat32: load(0x09),
  /** Two f32 or one f64 in the low half, zeros in the high one. */
  loadLow: load(0x5d),
  loadSplat64: load(0x0a),
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0xfd, ...unsigned(0x0b), 2, ...unsigned(offset)],
} as const;

export const f32x4 = {
  add: simd(0xe4),
  mul: simd(0xe6),
  abs: simd(0xe0),
  max: simd(0xe9),
  nearest: simd(0x6a),
  splat: simd(0x13),
  zero: [0xfd, ...unsigned(0x0c), ...new Array<number>(16).fill(0)],
  fromI32: simd(0xfa),
} as const;

export const f64x2 = {
  add: simd(0xf0),
  sub: simd(0xf1),
  mul: simd(0xf2),
  div: simd(0xf3),
  min: simd(0xf4),
  max: simd(0xf5),
  negate: simd(0xed),
  /** The two low f32 as f64. */
  promoteLow: simd(0x5f),
  constant: (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer), 0xfd, ...unsigned(0x14)],
} as const;

export const i64x2 = {
  add: simd(0xce),
  shiftLeft: (value: Code, by: number): Code => [...value, ...i32(by), 0xfd, ...unsigned(0xcb)],
} as const;

/** Bytes in their order. */
const bytes16 = (bytes: readonly number[]): Code => [0xfd, ...unsigned(0x0c), ...bytes];
const shift =
  (opcode: number) =>
  (value: Code, by: number): Code => [...value, ...i32(by), 0xfd, ...unsigned(opcode)];

export const i8x16 = {
  constant: (value: number): Code => bytes16(new Array<number>(16).fill(value & 255)),
  /** Two vectors of i16 as one of i8, saturated. */
  narrow: simd(0x65),
  /** Bytes of two vectors, 0 to 15 of the first and 16 to 31 of the second, in the order of `lanes`. */
  shuffle: (a: Code, b: Code, lanes: readonly number[]): Code => [...a, ...b, 0xfd, ...unsigned(0x0d), ...lanes],
} as const;

export const i16x8 = {
  add: simd(0x8e),
  shiftRight: shift(0x8d),
  /** Two vectors of i32 as one of i16, saturated. */
  narrow: simd(0x85),
  /**
   * Sums of two neighbouring products of an i8 and a number of 0 to 127: relaxed SIMD, exact for such operands as long as the sum fits.
   * https://github.com/WebAssembly/relaxed-simd/blob/main/proposals/relaxed-simd/Overview.md
   */
  relaxedDot: simd(0x112),
} as const;

export const i32x4 = {
  constant: (value: number): Code => bytes16([...new Uint8Array(Int32Array.of(value, value, value, value).buffer)]),
  add: simd(0xae),
  shiftLeft: shift(0xab),
  /** Sums of two neighbouring products of i16. */
  dot: simd(0xba),
  /** Truncated, saturated. */
  fromF32: simd(0xf8),
} as const;

export const and = simd(0x4e);

/** Lane `lane` of four, four times. */
export const splatLane = (value: Code, lane: number): Code =>
  i8x16.shuffle(
    value,
    value,
    Array.from({ length: 16 }, (_, byte) => 4 * lane + (byte % 4)),
  );

export const f32 = {
  constant: (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)],
  load: (address: Code, offset: number): Code => [...address, 0x2a, 2, ...unsigned(offset)],
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x38, 2, ...unsigned(offset)],
  lane: (value: Code, lane: number): Code => [...value, 0xfd, ...unsigned(0x1f), lane],
  mul: (a: Code, b: Code): Code => [...a, ...b, 0x94],
  div: (a: Code, b: Code): Code => [...a, ...b, 0x95],
  /** `a` where `condition` is not 0, else `b`. */
  select: (a: Code, b: Code, condition: Code): Code => [...a, ...b, ...condition, 0x1b],
  greater: (a: Code, b: Code): Code => [...a, ...b, 0x5e],
} as const;

export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];

export const storeI32 = (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x36, 2, ...unsigned(offset)];
export const laneI32 = (value: Code, lane: number): Code => [...value, 0xfd, ...unsigned(0x1b), lane];
export const mulI32 = (a: Code, b: Code): Code => [...a, ...b, 0x6c];

const types = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

/** A function that works on memory: i32 parameters, which are locals 0, 1, ..., and no results. */
export class FunctionBuilder {
  readonly #locals: number[] = [];
  #code: Code = [];

  constructor(readonly parameters = 0) {}

  local(type: keyof typeof types): number {
    this.#locals.push(types[type]);
    return this.parameters + this.#locals.length - 1;
  }

  /** As many locals as asked. */
  group(count: number): number[] {
    return Array.from({ length: count }, () => this.local('v128'));
  }

  /** Runs `body` `times` times (at least once). */
  repeat(times: number | Code, body: () => readonly Code[]): Code {
    const counter = this.local('i32');
    return [
      ...set(counter, typeof times === 'number' ? i32(times) : times),
      ...[0x03, 0x40],
      ...body().flat(),
      ...[...get(counter), ...i32(1), 0x6b, 0x22, ...unsigned(counter)],
      ...[0x0d, 0x00, 0x0b],
    ];
  }

  body(...code: readonly Code[]): this {
    this.#code = code.flat();
    return this;
  }

  bytes(): number[] {
    const locals = this.#locals.flatMap((type) => [1, type]);
    const body = [...unsigned(this.#locals.length), ...locals, ...this.#code, 0x0b];
    return [...unsigned(body.length), ...body];
  }
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
/** Adds a constant to an i32 local. */
export const advance = (local: number, by: number): Code => set(local, add(get(local), i32(by)));

/** Memory that several threads see; pages of 64 KiB. */
export interface SharedPages {
  readonly most: number;
}

/** A module that exports `functions` by name and imports its memory as env.memory, with `pages` at least. */
export function wasmModule(
  functions: Readonly<Record<string, FunctionBuilder>>,
  pages: number,
  shared: SharedPages | null = null,
): Uint8Array<ArrayBuffer> {
  const text = (value: string): number[] => [...unsigned(value.length), ...[...value].map((letter) => letter.charCodeAt(0))];
  const section = (id: number, content: Code): number[] => [id, ...unsigned(content.length), ...content];
  const list = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
  const names = Object.keys(functions);
  const counts = [...new Set(names.map((name) => functions[name].parameters))];
  const limits = shared ? [3, ...unsigned(pages), ...unsigned(shared.most)] : [0, ...unsigned(pages)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(counts.map((count) => [0x60, ...unsigned(count), ...new Array<number>(count).fill(types.i32), 0]))),
    ...section(2, list([[...text('env'), ...text('memory'), 2, ...limits]])),
    ...section(3, list(names.map((name) => unsigned(counts.indexOf(functions[name].parameters))))),
    ...section(7, list(names.map((name, index) => [...text(name), 0, ...unsigned(index)]))),
    ...section(10, list(names.map((name) => functions[name].bytes()))),
  ]);
}

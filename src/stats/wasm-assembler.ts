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
  /** Two f32 or one f64 in the low half, zeros in the high one. */
  loadLow: load(0x5d),
  loadSplat64: load(0x0a),
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0xfd, ...unsigned(0x0b), 2, ...unsigned(offset)],
} as const;

export const f32x4 = { add: simd(0xe4), mul: simd(0xe6), zero: [0xfd, ...unsigned(0x0c), ...new Array<number>(16).fill(0)] } as const;

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

export const i32 = (value: number): Code => [0x41, ...signed(value)];
export const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];

const types = { i32: 0x7f, v128: 0x7b } as const;

/** A function without parameters and results, that works on memory. */
export class FunctionBuilder {
  readonly #locals: number[] = [];
  #code: Code = [];

  local(type: keyof typeof types): number {
    this.#locals.push(types[type]);
    return this.#locals.length - 1;
  }

  /** As many locals as asked. */
  group(count: number): number[] {
    return Array.from({ length: count }, () => this.local('v128'));
  }

  /** Runs `body` `times` times (at least once). */
  repeat(times: number, body: () => readonly Code[]): Code {
    const counter = this.local('i32');
    return [
      ...set(counter, i32(times)),
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

/** A module that exports `functions` by name and imports its memory as env.memory. */
export function wasmModule(functions: Readonly<Record<string, FunctionBuilder>>, pages: number): Uint8Array<ArrayBuffer> {
  const text = (value: string): number[] => [...unsigned(value.length), ...[...value].map((letter) => letter.charCodeAt(0))];
  const section = (id: number, content: Code): number[] => [id, ...unsigned(content.length), ...content];
  const list = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
  const names = Object.keys(functions);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([[0x60, 0, 0]])),
    ...section(2, list([[...text('env'), ...text('memory'), 2, 0, ...unsigned(pages)]])),
    ...section(3, list(names.map(() => [0]))),
    ...section(7, list(names.map((name, index) => [...text(name), 0, ...unsigned(index)]))),
    ...section(10, list(names.map((name) => functions[name].bytes()))),
  ]);
}

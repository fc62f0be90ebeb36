import { f32ToF16 } from '../../src/formats/float16.ts';

/** Writes small ONNX files, field by field: what the reader is tested with must not come from the reader's own ideas. */

const utf8 = new TextEncoder();

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function varint(value: number | bigint): Uint8Array {
  let left = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(left & 127n);
    left >>= 7n;
    out.push(left > 0n ? low | 128 : low);
  } while (left > 0n);
  return Uint8Array.from(out);
}

export const numberField = (field: number, value: number | bigint): Uint8Array => join([varint(field * 8), varint(value)]);
export function bytesField(field: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === 'string' ? utf8.encode(content) : content;
  return join([varint(field * 8 + 2), varint(bytes.length), bytes]);
}
function floatField(field: number, value: number): Uint8Array {
  return join([varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)]);
}

const types = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, f16: 10, u4: 21, i4: 22 } as const;
export type SampleType = keyof typeof types;

export interface SampleTensor {
  readonly dims: readonly number[];
  readonly type: SampleType;
  readonly bytes: Uint8Array;
}

const raw = (values: Float32Array | Uint16Array | Uint8Array | Int8Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const floats = (values: Float32Array, dims: readonly number[], half = false): SampleTensor =>
  half ? { dims, type: 'f16', bytes: raw(f32ToF16(values)) } : { dims, type: 'f32', bytes: raw(values) };
export const bytesOf = (values: Uint8Array | Int8Array, dims: readonly number[]): SampleTensor => ({
  dims,
  type: values instanceof Int8Array ? 'i8' : 'u8',
  bytes: raw(values),
});
export const integers = (values: readonly number[], dims: readonly number[] = [values.length]): SampleTensor => ({
  dims,
  type: 'i64',
  bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});

export const MICROSOFT = 'com.microsoft';
type Attributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>;

/** A graph in the making. Values are named by whoever makes them. */
export class OnnxWriter {
  private readonly parts: Uint8Array[] = [];
  private readonly data: Uint8Array[] = [];
  private dataBytes = 0;
  private readonly external: string | null;
  private made = 0;

  /** @param external name of a file that tensors of more than 64 bytes go to */
  constructor(external: string | null = null) {
    this.external = external;
  }

  input(name: string): string {
    this.parts.push(bytesField(11, bytesField(1, name)));
    return name;
  }

  output(name: string): void {
    this.parts.push(bytesField(12, bytesField(1, name)));
  }

  tensor(name: string, { dims, type, bytes }: SampleTensor): string {
    const head = [...dims.map((length) => numberField(1, length)), numberField(2, types[type]), bytesField(8, name)];
    if (this.external === null || bytes.length <= 64) head.push(bytesField(9, bytes));
    else {
      const entry = (key: string, value: string): Uint8Array => bytesField(13, join([bytesField(1, key), bytesField(2, value)]));
      head.push(entry('location', this.external), entry('offset', String(this.dataBytes)), entry('length', String(bytes.length)));
      head.push(numberField(14, 1));
      const padded = new Uint8Array(Math.ceil(bytes.length / 64) * 64);
      padded.set(bytes);
      this.data.push(padded);
      this.dataBytes += padded.length;
    }
    this.parts.push(bytesField(5, join(head)));
    return name;
  }

  /** A node with one output, or as many as are named. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, domain = '', outputs?: readonly string[]): string {
    const name = `node_${this.made++}`;
    const named = outputs ?? [`${name}/output_0`];
    const attribute = ([key, value]: [string, Attributes[string]]): Uint8Array => {
      if (typeof value === 'number') return bytesField(5, join([bytesField(1, key), numberField(3, value), numberField(20, 2)]));
      if ('float' in value) return bytesField(5, join([bytesField(1, key), floatField(2, value.float), numberField(20, 1)]));
      return bytesField(5, join([bytesField(1, key), bytesField(8, join(value.map(varint))), numberField(20, 7)]));
    };
    this.parts.push(
      bytesField(
        1,
        join([
          ...inputs.map((input) => bytesField(1, input)),
          ...named.map((output) => bytesField(2, output)),
          bytesField(3, name),
          bytesField(4, op),
          ...Object.entries(attributes).map(attribute),
          bytesField(7, domain),
        ]),
      ),
    );
    return named[0];
  }

  /** The .onnx file, and the file of external data where there is one. */
  files(): { readonly model: Uint8Array; readonly data: Uint8Array } {
    const opset = (domain: string, version: number): Uint8Array => bytesField(8, join([bytesField(1, domain), numberField(2, version)]));
    const model = join([
      numberField(1, 8),
      opset('', 18),
      opset(MICROSOFT, 1),
      bytesField(7, join([...this.parts, bytesField(2, 'sample')])),
    ]);
    return { model, data: join(this.data) };
  }
}

import { ProtoMessage } from './proto.ts';

/**
 * A graph of ONNX operators, written as a ModelProto (onnx/onnx.proto, IR version 10). Names are given by the caller and are the names
 * of inputs and outputs at run time.
 */

const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7 } as const;
export type ElementType = keyof typeof elementTypes;

/** A number, or the name of a length that is known only at run time. */
export type Dimension = number | string;

/** An attribute of an operator: a whole number, a float (`{ float }`), a text, or a list of whole numbers. */
export type Attribute = number | { readonly float: number } | string | readonly number[];

const FLOAT = 1;
const INT = 2;
const STRING = 3;
const INTS = 7;

export const microsoft = 'com.microsoft';
const IR_VERSION = 10;
/** The first with Attention. */
const OPSET = 23;

/** Constants of at least this many bytes can lie outside the model; shorter ones may be lengths, which are looked at when it is loaded. */
const APART_BYTES = 1024;
/** TensorProto.data_location: EXTERNAL. */
const EXTERNAL = 1;

interface Constant {
  readonly name: string;
  readonly header: ProtoMessage;
  readonly bytes: Uint8Array;
}

/** A finished model, to be had in two ways. */
export interface PieceModel {
  /** All in one array: constants are copied. */
  whole(): Uint8Array<ArrayBuffer>;
  /** Without its large constants, which are given as they are, by the name under which the model asks for them. */
  apart(): { readonly model: Uint8Array<ArrayBuffer>; readonly constants: readonly { readonly path: string; readonly data: Uint8Array }[] };
}

export class ModelGraph {
  private readonly graph = new ProtoMessage().text(2, 'piece');
  private readonly constants: Constant[] = [];

  input(name: string, shape: readonly Dimension[], type: ElementType = 'float32'): string {
    this.graph.message(11, valueInfo(name, shape, type));
    return name;
  }

  output(name: string, shape: readonly Dimension[]): void {
    this.graph.message(12, valueInfo(name, shape, 'float32'));
  }

  /** A constant; `data` is little-endian and is not to be changed afterwards. */
  constant(name: string, shape: readonly number[], data: Uint8Array | Float32Array | BigInt64Array, type: ElementType = 'float32'): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.constants.push({ name, header: new ProtoMessage().ints(1, shape).int(2, elementTypes[type]).text(8, name), bytes });
    return name;
  }

  /** One operator. An empty input name stands for an optional input that is left out. Gives the name of the first output. */
  node(
    op: string,
    inputs: readonly string[],
    outputs: string | readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    const names = typeof outputs === 'string' ? [outputs] : outputs;
    const node = new ProtoMessage();
    for (const input of inputs) node.text(1, input);
    for (const output of names) node.text(2, output);
    node.text(3, `${op} ${names[0]}`).text(4, op);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    if (domain !== '') node.text(7, domain);
    this.graph.message(1, node);
    return names[0];
  }

  finish(): PieceModel {
    const { graph, constants } = this;
    return {
      whole: () => modelOf(graph, constants, () => false),
      apart: () => {
        const large = constants.filter(({ bytes }) => bytes.length >= APART_BYTES);
        const model = modelOf(graph, constants, (constant) => large.includes(constant));
        return { model, constants: large.map(({ name, bytes }) => ({ path: name, data: bytes })) };
      },
    };
  }
}

/** The whole model; constants that lie outside are named only. */
function modelOf(graph: ProtoMessage, constants: readonly Constant[], outside: (constant: Constant) => boolean): Uint8Array<ArrayBuffer> {
  const whole = new ProtoMessage().append(graph);
  for (const constant of constants) {
    const { name, header, bytes } = constant;
    const tensor = new ProtoMessage().append(header);
    if (outside(constant))
      tensor
        .message(13, entry('location', name))
        .message(13, entry('length', String(bytes.length)))
        .int(14, EXTERNAL);
    else tensor.bytes(9, bytes);
    whole.message(5, tensor);
  }
  return new ProtoMessage()
    .int(1, IR_VERSION)
    .text(2, 'tiller')
    .message(7, whole)
    .message(8, new ProtoMessage().text(1, '').int(2, OPSET))
    .message(8, new ProtoMessage().text(1, microsoft).int(2, 1))
    .finish();
}

const entry = (key: string, value: string): ProtoMessage => new ProtoMessage().text(1, key).text(2, value);

function attribute(name: string, value: Attribute): ProtoMessage {
  const message = new ProtoMessage().text(1, name);
  if (typeof value === 'number') return message.int(3, value).int(20, INT);
  if (typeof value === 'string') return message.text(4, value).int(20, STRING);
  if ('float' in value) return message.float(2, value.float).int(20, FLOAT);
  for (const one of value) message.int(8, one);
  return message.int(20, INTS);
}

function valueInfo(name: string, shape: readonly Dimension[], type: ElementType): ProtoMessage {
  const dims = new ProtoMessage();
  for (const length of shape) {
    dims.message(1, typeof length === 'number' ? new ProtoMessage().int(1, length) : new ProtoMessage().text(2, length));
  }
  const tensor = new ProtoMessage().int(1, elementTypes[type]).message(2, dims);
  return new ProtoMessage().text(1, name).message(2, new ProtoMessage().message(1, tensor));
}

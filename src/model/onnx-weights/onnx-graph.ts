import { TillerError } from '../../errors/error.ts';
import type { ProtoFile } from '../../formats/protobuf.ts';
import type { ProtoField } from '../../formats/protobuf.ts';
import { readTensor, type OnnxTensor } from './onnx-tensor.ts';

/** A node of the graph; empty names stand for inputs that are not given. */
export interface OnnxNode {
  readonly op: string;
  /** `` for standard operators, `com.microsoft` for those of ONNX Runtime. */
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly numbers: ReadonlyMap<string, number>;
  readonly lists: ReadonlyMap<string, readonly number[]>;
}

export interface OnnxGraph {
  /** In the file's order, which the format demands to be an order of computation. */
  readonly nodes: readonly OnnxNode[];
  /** Initialisers and the values of Constant nodes, by name. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const MAX_NODES = 500_000;
const MAX_CONSTANTS = 500_000;
const MAX_INPUTS = 4096;
const MAX_NAME = 4096;
const MAX_LIST = 4096;

/** Field numbers of onnx.proto3. */
const model = { graph: 7 };
const graph = { node: 1, initializer: 5, input: 11, output: 12 };
const node = { input: 1, output: 2, name: 3, op: 4, attribute: 5, domain: 7 };
const attribute = { name: 1, f: 2, i: 3, t: 5, ints: 8 };
const valueInfo = { name: 1 };

/**
 * The graph of an ONNX file. Weights are noted where they lie and not read.
 * @throws model/file
 */
export async function readOnnxGraph(file: ProtoFile, path: string): Promise<OnnxGraph> {
  let found: OnnxGraph | null = null;
  for await (const field of file.fields(0, file.size)) {
    if (field.number !== model.graph) continue;
    if (found) file.refuse('it has two graphs');
    found = await readGraph(file, field, path);
  }
  return found ?? file.refuse('it has no graph: it is no ONNX model');
}

async function readGraph(file: ProtoFile, { wire, start, end }: ProtoField, path: string): Promise<OnnxGraph> {
  if (wire !== 2) file.refuse('its graph is no message');
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, OnnxTensor>();
  const inputs: string[] = [];
  const outputs: string[] = [];
  const addConstant = (name: string, tensor: OnnxTensor): void => {
    if (constants.has(name)) file.refuse(`the constant "${name.slice(0, 200)}" appears twice`);
    if (constants.size >= MAX_CONSTANTS) file.refuse(`it has more than ${MAX_CONSTANTS} constants`);
    constants.set(name, tensor);
  };
  for await (const field of file.fields(start, end)) {
    switch (field.number) {
      case graph.node: {
        const { node: read, value } = await readNode(file, field, path);
        if (read.op === 'Constant' && value) addConstant(read.outputs[0] ?? '', value);
        else nodes.push(read);
        if (nodes.length > MAX_NODES) file.refuse(`it has more than ${MAX_NODES} nodes`);
        break;
      }
      case graph.initializer: {
        const tensor = await readTensor(file, field, path);
        addConstant(tensor.name, tensor);
        break;
      }
      case graph.input:
      case graph.output: {
        const list = field.number === graph.input ? inputs : outputs;
        list.push(await readName(file, field));
        if (list.length > MAX_INPUTS) file.refuse(`it has more than ${MAX_INPUTS} inputs or outputs`);
        break;
      }
    }
  }
  checkOrder(nodes, constants, path);
  return { nodes, constants, inputs: inputs.filter((name) => !constants.has(name)), outputs };
}

/** Every value is made once, and before it is used by name: cycles would be walked for ever. */
function checkOrder(nodes: readonly OnnxNode[], constants: ReadonlyMap<string, unknown>, path: string): void {
  const made = new Set<string>();
  const later = new Set<string>(nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== ''));
  for (const { name, inputs, outputs } of nodes) {
    const wrong = (problem: string): never => {
      throw new TillerError('model/file', { file: path, problem: `the node "${name.slice(0, 200)}" ${problem}` });
    };
    for (const input of inputs) if (later.has(input) && !made.has(input)) wrong('uses a value that is made after it');
    for (const output of outputs) {
      if (output === '') continue;
      if (made.has(output) || constants.has(output)) wrong('makes a value that another one makes too');
      made.add(output);
    }
  }
}

async function readName(file: ProtoFile, message: ProtoField): Promise<string> {
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === valueInfo.name) return file.text(field, MAX_NAME);
  }
  return '';
}

async function readNode(file: ProtoFile, message: ProtoField, path: string): Promise<{ node: OnnxNode; value: OnnxTensor | null }> {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const numbers = new Map<string, number>();
  const lists = new Map<string, readonly number[]>();
  let name = '';
  let op = '';
  let domain = '';
  let value: OnnxTensor | null = null;
  for await (const field of file.fields(message.start, message.end)) {
    switch (field.number) {
      case node.input:
        inputs.push(await file.text(field, MAX_NAME));
        break;
      case node.output:
        outputs.push(await file.text(field, MAX_NAME));
        break;
      case node.name:
        name = await file.text(field, MAX_NAME);
        break;
      case node.op:
        op = await file.text(field, MAX_NAME);
        break;
      case node.domain:
        domain = await file.text(field, MAX_NAME);
        break;
      case node.attribute: {
        const read = await readAttribute(file, field, path);
        if (read.number !== null) numbers.set(read.name, read.number);
        if (read.list.length > 0) lists.set(read.name, read.list);
        value ??= read.name === 'value' ? read.tensor : null;
        break;
      }
    }
    if (inputs.length + outputs.length > MAX_INPUTS) file.refuse(`a node has more than ${MAX_INPUTS} inputs and outputs`);
  }
  return { node: { op, domain: domain === 'ai.onnx' ? '' : domain, name, inputs, outputs, numbers, lists }, value };
}

interface Attribute {
  readonly name: string;
  readonly number: number | null;
  readonly list: readonly number[];
  readonly tensor: OnnxTensor | null;
}

async function readAttribute(file: ProtoFile, message: ProtoField, path: string): Promise<Attribute> {
  const list: number[] = [];
  let name = '';
  let number: number | null = null;
  let tensor: OnnxTensor | null = null;
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === attribute.name) name = await file.text(field, MAX_NAME);
    else if (field.number === attribute.i) number = await file.integer(field);
    else if (field.number === attribute.f) number = await file.float(field);
    else if (field.number === attribute.t) tensor = await readTensor(file, field, path);
    else if (field.number === attribute.ints) await file.integers(field, list, MAX_LIST);
  }
  return { name, number, list, tensor };
}

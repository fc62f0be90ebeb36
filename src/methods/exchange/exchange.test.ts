import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shape } from '../../../test/methods/planted.ts';
import { TillerError } from '../../errors/error.ts';
import { writeGguf, type GgufField } from '../../formats/gguf.ts';
import type { BoundGraph, EditNode, GraphNode } from '../../graph/document.ts';
import { graphHash } from '../../graph/hash.ts';
import { buildGraph } from '../../graph/vectors.ts';
import { readControlVector, writeControlVector } from './control-vector.ts';
import { writePyvene, writeSteeringVectors } from './python-json.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof TillerError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
};

const add = (id: string, at: EditNode['at'], row: number, more: Partial<EditNode> = {}): EditNode => ({
  id,
  edit: 'add',
  at,
  vector: ['v', row],
  tokens: 'all',
  ...more,
});
const values = Float32Array.from({ length: 3 * shape.hidden }, (_, i) => i / 8);
const graphOf = (...nodes: GraphNode[]): BoundGraph =>
  buildGraph({ model: shape, nodes, vectors: { v: { shape: [3, shape.hidden], data: values } } });
const arch = (name = 'controlvector'): Record<string, GgufField> => ({
  'general.architecture': { type: 'string', value: name },
  [`${name}.model_hint`]: { type: 'string', value: 'llama' },
  [`${name}.layer_count`]: { type: 'u32', value: 1 },
});
const direction = (name: string, width = shape.hidden): { name: string; shape: number[]; data: Float32Array } => ({
  name,
  shape: [width],
  data: new Float32Array(width).fill(0.5),
});

describe('GGUF control vectors', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: shape.layers - 1 }), { minLength: 1 }),
        fc.float({ min: -4, max: 4, noNaN: true }).filter((factor) => factor !== 0),
        (layers, strength) => {
          const sorted = [...layers].sort((a, b) => a - b);
          const graph = graphOf(...sorted.map((layer) => add(`n${layer}`, { point: 'resid_post', layer }, layer - 1, { strength })));
          const { bytes, receipt } = writeControlVector(graph, { data: 'abc' });
          const read = readControlVector(bytes, shape);
          expect(read.layers).toEqual(sorted);
          expect(read.modelHint).toBe('llama');
          expect(read.notes).toEqual([]);
          expect(receipt).toMatchObject({ graph: graphHash(graph.document), data: 'abc', method: null });
          for (const layer of sorted) {
            const row = values.subarray((layer - 1) * shape.hidden, layer * shape.hidden);
            expect(read.graph.vectors[`direction.${layer}`].data).toEqual(row.map((value) => value * strength));
          }
          // What was read is written to the same bytes again.
          expect(writeControlVector(read.graph).bytes).toEqual(bytes);
        },
      ),
    );
  });

  it('adds at the output of the layer that the name counts, at all tokens', () => {
    const { graph } = readControlVector(writeGguf(arch(), [direction('direction.2')]), shape);
    expect(graph.document.nodes).toEqual([
      { id: 'direction.2', edit: 'add', at: { point: 'resid_post', layer: 2 }, vector: 'direction.2', tokens: 'all' },
    ]);
  });

  it('takes the input of a layer for the output of the one below, and sums what is added there', () => {
    const graph = graphOf(
      add('a', { point: 'resid_pre', layer: 3 }, 0),
      add('b', { point: 'resid_post', layer: 2 }, 1, { tokens: 'generated' }),
    );
    const { bytes, receipt } = writeControlVector(graph);
    const { graph: read } = readControlVector(bytes, shape);
    expect(Object.keys(read.vectors)).toEqual(['direction.2']);
    expect(read.vectors['direction.2'].data[1]).toBe(values[1] + values[shape.hidden + 1]);
    expect(receipt.notes.join(' ')).toContain('"generated"');
  });

  it('writes strengths of a lane, and leaves out what is off', () => {
    const graph = graphOf(add('a', { point: 'resid_post', layer: 1 }, 1), add('b', { point: 'resid_post', layer: 2 }, 2, { strength: 3 }));
    const { graph: read } = readControlVector(writeControlVector(graph, {}, { b: 0.5 }).bytes, shape);
    expect(Object.keys(read.vectors)).toEqual(['direction.2']);
    expect(read.vectors['direction.2'].data[4]).toBeCloseTo(1.5 * values[2 * shape.hidden + 4], 6);
  });

  it('refuses to write what the format cannot say', () => {
    const say = (...nodes: GraphNode[]): string => codeOf(() => writeControlVector(graphOf(...nodes)));
    expect(say(add('a', { point: 'resid_post', layer: 0 }, 0))).toContain('after layer 0');
    expect(say(add('a', { point: 'resid_pre', layer: 0 }, 0))).toContain('before layer 0');
    expect(say(add('a', { point: 'mlp_out', layer: 1 }, 0))).toContain('"mlp_out"');
    expect(say({ ...add('a', { point: 'resid_post', layer: 1 }, 0), edit: 'ablate' })).toContain('"ablate"');
    expect(
      say(
        { id: 'r', read: 'norm', at: { point: 'embed' }, tokens: 'all' },
        add('a', { point: 'resid_post', layer: 1 }, 0, { when: { read: 'r', above: 1 } }),
      ),
    ).toContain('gate');
    expect(say(add('a', { point: 'resid_post', layer: 1 }, 0, { strength: 0 }))).toContain('no edit');
  });

  it('refuses to read what is none, is for another model, or is damaged', () => {
    const say = (metadata: Record<string, GgufField>, ...tensors: ReturnType<typeof direction>[]): string =>
      codeOf(() => readControlVector(writeGguf(metadata, tensors), shape));
    expect(say(arch('llama'), direction('direction.1'))).toContain('vectors/file');
    expect(say(arch())).toContain('no tensor');
    expect(say(arch(), direction('direction.4'))).toContain('layer 4, the model has 4');
    expect(say(arch(), direction('direction.1', 8))).toContain('[8]');
    expect(say(arch(), { ...direction('direction.1'), data: new Float32Array(shape.hidden).fill(NaN) })).toContain('not finite');
    expect(codeOf(() => readControlVector(new Uint8Array(40), shape))).toContain('model/file');
    expect(say(arch('steeringvector'), direction('direction.1'))).toBe('none');
  });

  it('says what it left out and what does not agree', () => {
    const { notes } = readControlVector(
      writeGguf({ ...arch(), 'controlvector.model_hint': { type: 'string', value: 'mistral' } }, [
        direction('direction.1'),
        direction('direction.2'),
        direction('direction.x'),
      ]),
      shape,
    );
    expect(notes).toHaveLength(3);
    expect(notes.join(' ')).toMatch(/direction\.x.*1 directions; there are 2.*"mistral"/);
  });

  it('survives any change of bytes with a result or a named error', () => {
    const bytes = writeGguf(arch(), [direction('direction.1')]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 }),
        (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          codeOf(() => readControlVector(changed, shape));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('JSON for Python libraries', () => {
  const heads = buildGraph({
    model: shape,
    nodes: [{ id: 'h', edit: 'add', at: { point: 'z', layer: 2, head: 1 }, vector: 't', strength: 2, tokens: 'generated' }],
    vectors: { t: { shape: [shape.headDim], data: new Float32Array(shape.headDim).fill(0.25) } },
  });

  it('names heads at the input of o_proj for pyvene, with a receipt', () => {
    const { json, receipt } = writePyvene(heads, { model: 'm', report: { method: 'iti', settings: { alpha: 15 } }, seed: 3 });
    const value = JSON.parse(json) as { representations: unknown[]; receipt: unknown };
    expect(value.representations).toEqual([
      {
        layer: 2,
        component: 'head_attention_value_output',
        unit: 'h.pos',
        max_number_of_units: 1,
        unit_location: 1,
        source_representation: new Array<number>(shape.headDim).fill(0.5),
      },
    ]);
    expect(value.receipt).toEqual(JSON.parse(JSON.stringify(receipt)));
    expect(receipt).toMatchObject({ method: 'iti', settings: { alpha: 15 }, seed: 3, model: 'm' });
  });

  it('writes one kind of place for steering-vectors', () => {
    const { json } = writeSteeringVectors(
      graphOf(add('a', { point: 'mlp_out', layer: 1 }, 0), add('b', { point: 'mlp_out', layer: 1 }, 1)),
    );
    const value = JSON.parse(json) as { layer_type: string; layer_activations: Record<string, number[]> };
    expect(value.layer_type).toBe('mlp');
    expect(value.layer_activations['1'][2]).toBe(values[2] + values[shape.hidden + 2]);
    expect(codeOf(() => writeSteeringVectors(heads))).toContain('vectors/export');
    expect(
      codeOf(() =>
        writeSteeringVectors(graphOf(add('a', { point: 'mlp_out', layer: 1 }, 0), add('b', { point: 'attn_out', layer: 1 }, 1))),
      ),
    ).toContain('one kind');
    expect(codeOf(() => writePyvene(graphOf(add('a', { point: 'resid_mid', layer: 1 }, 0))))).toContain('no component');
  });
});

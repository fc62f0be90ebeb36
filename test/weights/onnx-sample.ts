import type { ModelSpec } from '../../src/model/spec.ts';
import { bytesOf, floats, integers, MICROSOFT, OnnxWriter } from './onnx-writer.ts';
import { group, packed, quantized, transposed } from './sample-quantizers.ts';

/**
 * ONNX files in the layouts that published exports have, of a model whose weights are given. What the reader must find is kept
 * beside: the weights after the sample's own quantisation, computed from integers and scales before anything is packed.
 */

/** How matrices are stored. */
export type SampleMatrix =
  | { readonly kind: 'float'; readonly half: boolean }
  /** MatMulNBits; `named` says whose names the initialisers have. */
  | {
      readonly kind: 'nbits';
      readonly bits: 4 | 8;
      readonly block: 16 | 32;
      readonly zeros: boolean;
      readonly half: boolean;
      readonly named: 'default' | 'rtn' | 'awq';
      /** Scales and zero points as flat lists, as older quantisers write them. */
      readonly flat?: boolean;
    }
  /** MatMulInteger behind a DynamicQuantizeLinear. */
  | { readonly kind: 'dynamic'; readonly signed: boolean; readonly channels: boolean }
  /** A DequantizeLinear before a plain MatMul. */
  | { readonly kind: 'dequantize'; readonly block: number };

export interface SampleOptions {
  readonly matrix: SampleMatrix;
  /** `builder`: GroupQueryAttention and fused norms. `plain`: everything written out, as torch.onnx does. */
  readonly layout: 'builder' | 'plain';
  readonly fusedQkv?: boolean;
  /** The embedding is the head's quantised weight, looked up by GatherBlockQuantized. */
  readonly sharedEmbedding?: boolean;
  readonly external?: string;
  /** Norms in f32 between products in f16, with Casts around them, as q4f16 exports have it. */
  readonly casts?: boolean;
}

export interface OnnxSample {
  readonly model: Uint8Array;
  readonly data: Uint8Array;
  /** By the names of the checkpoint; matrices [out, in]. */
  readonly expected: ReadonlyMap<string, Float32Array>;
}

type Weights = (name: string) => Float32Array;
/** The residual stream, and what is still to be added to it. */
type Stream = readonly [string, string | null];

/** Makes a sample of a model with this shape. @param weights by the names of its checkpoint */
export function onnxSample(spec: ModelSpec, weights: Weights, options: SampleOptions): OnnxSample {
  return new SampleBuilder(spec, weights, options).build();
}

class SampleBuilder {
  private readonly graph: OnnxWriter;
  private readonly expected = new Map<string, Float32Array>();
  private readonly spec: ModelSpec;
  private readonly weights: Weights;
  private readonly options: SampleOptions;

  constructor(spec: ModelSpec, weights: Weights, options: SampleOptions) {
    this.spec = spec;
    this.weights = weights;
    this.options = options;
    this.graph = new OnnxWriter(options.external ?? null);
  }

  build(): OnnxSample {
    const { graph, spec, options } = this;
    for (const name of ['input_ids', 'attention_mask', 'position_ids']) graph.input(name);
    let residual = this.embedding();
    if (spec.embedScale !== 1) {
      graph.tensor('embed_scale', floats(Float32Array.of(spec.embedScale), []));
      residual = graph.node('Mul', [residual, 'embed_scale']);
    }
    let stream: Stream = [residual, null];
    for (let layer = 0; layer < spec.layers; layer++) stream = this.layer(layer, stream);
    const { normed: final } = this.streamNorm('model.norm', stream);
    graph.node('Identity', [this.head(final)], {}, '', ['logits']);
    graph.output('logits');
    const { model, data } = graph.files();
    if (options.sharedEmbedding) this.expected.set('model.embed_tokens.weight', this.expected.get('lm_head.weight') ?? new Float32Array());
    if (spec.tiedHead) this.expected.delete('lm_head.weight');
    return { model, data, expected: this.expected };
  }

  private embedding(): string {
    const { graph, spec, options } = this;
    const name = 'model.embed_tokens.weight';
    if (!options.sharedEmbedding) {
      this.expected.set(name, this.weights(name));
      graph.tensor(name, floats(this.weights(name), [spec.vocab, spec.hidden]));
      return graph.node('Gather', [name, 'input_ids']);
    }
    if (options.matrix.kind !== 'nbits') throw new Error('a shared embedding is quantised in blocks');
    this.nbitsTensors('lm_head', this.weights(name), spec.vocab, spec.hidden, options.matrix);
    const { bits, block } = options.matrix;
    graph.tensor('table_shape', integers([spec.vocab, (spec.hidden * bits) / 8]));
    const data = graph.node('Reshape', [this.names('lm_head').weight, 'table_shape']);
    const inputs = [data, 'input_ids', this.names('lm_head').scale, ...(options.matrix.zeros ? [this.names('lm_head').zero] : [])];
    return graph.node('GatherBlockQuantized', inputs, { bits, block_size: block, gather_axis: 0, quantize_axis: 1 }, MICROSOFT);
  }

  private head(input: string): string {
    const { spec, options } = this;
    const name = spec.tiedHead ? 'model.embed_tokens.weight' : 'lm_head.weight';
    if (options.sharedEmbedding && options.matrix.kind === 'nbits')
      return this.nbitsNode('lm_head', input, spec.vocab, spec.hidden, options.matrix);
    return this.linear('lm_head', this.weights(name), spec.vocab, spec.hidden, input);
  }

  private layer(layer: number, stream: Stream): Stream {
    const { graph, spec } = this;
    const prefix = `model.layers.${layer}`;
    const { normed, sum } = this.streamNorm(`${prefix}.input_layernorm`, stream);
    let mixed = this.attention(prefix, normed);
    if (spec.sandwichNorm) mixed = this.norm(`${prefix}.post_attention_layernorm`, mixed);
    const name = `${prefix}.${spec.sandwichNorm ? 'pre_feedforward' : 'post_attention'}_layernorm`;
    const { normed: before, sum: middle } = this.streamNorm(name, [sum, mixed]);
    const gate = this.projection(`${prefix}.mlp.gate_proj`, before, spec.intermediate, spec.hidden);
    const up = this.projection(`${prefix}.mlp.up_proj`, before, spec.intermediate, spec.hidden);
    const gelu = (): string => graph.node('FastGelu', [gate], {}, MICROSOFT);
    const active = spec.activation === 'silu' ? graph.node('Mul', [gate, graph.node('Sigmoid', [gate])]) : gelu();
    const out = this.projection(`${prefix}.mlp.down_proj`, graph.node('Mul', [active, up]), spec.hidden, spec.intermediate);
    return [middle, spec.sandwichNorm ? this.norm(`${prefix}.post_feedforward_layernorm`, out) : out];
  }

  /** The norm of the residual stream, and the stream itself: builders add and norm in one node, where no norm stands between. */
  private streamNorm(name: string, [base, added]: Stream): { readonly normed: string; readonly sum: string } {
    const { graph, spec, options } = this;
    if (added !== null && options.layout === 'builder' && !spec.sandwichNorm) {
      const outputs = [`${name}/output_0`, '', '', `${name}/output_3`];
      const inputs = [this.cast(base, 'f32'), this.cast(added, 'f32'), this.normTensor(name)];
      graph.node('SkipSimplifiedLayerNormalization', inputs, {}, MICROSOFT, outputs);
      return { normed: this.cast(outputs[0], 'f16'), sum: this.cast(outputs[3], 'f16') };
    }
    const sum = added === null ? base : graph.node('Add', [base, added]);
    return { normed: this.cast(this.norm(name, this.cast(sum, 'f32')), 'f16'), sum };
  }

  private cast(value: string, to: 'f32' | 'f16'): string {
    return this.options.casts ? this.graph.node('Cast', [value], { to: to === 'f32' ? 1 : 10 }) : value;
  }

  private attention(prefix: string, input: string): string {
    const { spec, options } = this;
    const rows = { q: spec.heads * spec.headDim, k: spec.kvHeads * spec.headDim, v: spec.kvHeads * spec.headDim };
    const name = (part: string): string => `${prefix}.self_attn.${part}_proj`;
    let q: string;
    let k = '';
    let v = '';
    if (options.fusedQkv) {
      q = this.fused(prefix, rows, input);
    } else {
      [q, k, v] = (['q', 'k', 'v'] as const).map((part) => this.projection(name(part), input, rows[part], spec.hidden));
      if (spec.headNorm) [q, k] = [this.headNorm(`${prefix}.self_attn.q_norm`, q), this.headNorm(`${prefix}.self_attn.k_norm`, k)];
    }
    const mixed = options.layout === 'builder' ? this.operator(q, k, v) : this.writtenOut(q, k, v);
    return this.projection(name('o'), mixed, spec.hidden, rows.q);
  }

  private fused(prefix: string, rows: { readonly q: number; readonly k: number; readonly v: number }, input: string): string {
    const parts = (['q', 'k', 'v'] as const).map((part) => `${prefix}.self_attn.${part}_proj`);
    const all = (kind: string): Float32Array => Float32Array.from(parts.flatMap((name) => [...this.weights(`${name}.${kind}`)]));
    const count = rows.q + rows.k + rows.v;
    const cols = this.spec.hidden;
    let out = this.linear(`${prefix}.self_attn.qkv_proj`, all('weight'), count, cols, input);
    const joined = this.expected.get(`${prefix}.self_attn.qkv_proj.weight`) ?? new Float32Array();
    this.expected.delete(`${prefix}.self_attn.qkv_proj.weight`);
    let at = 0;
    for (const [i, part] of (['q', 'k', 'v'] as const).entries()) {
      this.expected.set(`${parts[i]}.weight`, joined.slice(at * cols, (at + rows[part]) * cols));
      at += rows[part];
    }
    if (this.spec.bias.qkv) {
      this.graph.tensor(`${prefix}.qkv.bias`, floats(all('bias'), [count]));
      out = this.graph.node('Add', [out, `${prefix}.qkv.bias`]);
      for (const name of parts) this.expected.set(`${name}.bias`, this.weights(`${name}.bias`));
    }
    return out;
  }

  private operator(q: string, k: string, v: string): string {
    const { heads, kvHeads, attentionScale } = this.spec;
    const attributes = { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0, scale: { float: attentionScale } };
    return this.graph.node('GroupQueryAttention', [q, k, v, '', '', 'attention_mask'], attributes, MICROSOFT);
  }

  /** Heads apart, rotated, scores, Softmax, together again. */
  private writtenOut(q: string, k: string, v: string): string {
    const { graph } = this;
    const heads = (value: string): string =>
      graph.node('Transpose', [graph.node('Reshape', [value, this.shapeOf(value)])], { perm: [0, 2, 1, 3] });
    const rotated = (value: string): string => {
      const angle = graph.node('Cos', [graph.node('Cast', ['position_ids'], { to: 1 })]);
      const turned = graph.node('Concat', [graph.node('Neg', [graph.node('Slice', [value])]), graph.node('Slice', [value])], { axis: 3 });
      return graph.node('Add', [graph.node('Mul', [value, angle]), graph.node('Mul', [turned, angle])]);
    };
    const keys = graph.node('Transpose', [rotated(heads(k))], { perm: [0, 1, 3, 2] });
    const scores = graph.node('Add', [graph.node('MatMul', [rotated(heads(q)), keys]), graph.node('Cast', ['attention_mask'], { to: 1 })]);
    const mixed = graph.node('MatMul', [graph.node('Softmax', [scores], { axis: -1 }), heads(v)]);
    const together = graph.node('Transpose', [mixed], { perm: [0, 2, 1, 3] });
    return graph.node('Reshape', [together, this.shapeOf(together)]);
  }

  /** Shapes are computed from values, so a way leads back through them too: the reader must not take it. */
  private shapeOf(value: string): string {
    return this.graph.node('Cast', [this.graph.node('Shape', [value])], { to: 7 });
  }

  private projection(name: string, input: string, rows: number, cols: number): string {
    let out = this.linear(name, this.weights(`${name}.weight`), rows, cols, input);
    const { qkv, o, mlp } = this.spec.bias;
    const biased = /\.(q|k|v)_proj$/.test(name) ? qkv : name.endsWith('.o_proj') ? o : mlp;
    if (biased) {
      const bias = this.weights(`${name}.bias`);
      this.expected.set(`${name}.bias`, bias);
      out = this.graph.node('Add', [out, this.graph.tensor(`${name}.bias`, floats(bias, [rows]))]);
    }
    return out;
  }

  /** A product with a matrix [rows, cols], stored as the options say. */
  private linear(name: string, values: Float32Array, rows: number, cols: number, input: string): string {
    const { graph, options } = this;
    const { matrix } = options;
    switch (matrix.kind) {
      case 'float': {
        graph.tensor(`onnx::MatMul_${name}`, floats(transposed(values, rows, cols), [cols, rows], matrix.half));
        this.expected.set(`${name}.weight`, values);
        return graph.node('MatMul', [input, `onnx::MatMul_${name}`]);
      }
      case 'nbits':
        this.nbitsTensors(name, values, rows, cols, matrix);
        return this.nbitsNode(name, input, rows, cols, matrix);
      case 'dynamic':
        return this.dynamic(name, values, rows, cols, input, matrix.signed, matrix.channels);
      case 'dequantize': {
        const { q, scales, values: result } = quantized(values, rows, cols, matrix.block, 4, false, false);
        this.expected.set(`${name}.weight`, result);
        const groups = Math.ceil(cols / matrix.block);
        // Stored [in, out]: blocks run along the first axis.
        const turned = Int32Array.from(q, (_, i) => q[(i % rows) * cols + Math.floor(i / rows)]);
        graph.tensor(`${name}.q`, { dims: [cols, rows], type: 'u4', bytes: packed(turned, 1, cols * rows, 4) });
        graph.tensor(`${name}.s`, floats(transposed(scales, rows, groups), [groups, rows]));
        const zeros = new Int32Array(groups * rows).fill(8);
        graph.tensor(`${name}.z`, { dims: [groups, rows], type: 'u4', bytes: packed(zeros, 1, groups * rows, 4) });
        const inputs = [`${name}.q`, `${name}.s`, `${name}.z`];
        return graph.node('MatMul', [input, graph.node('DequantizeLinear', inputs, { axis: 0, block_size: matrix.block })]);
      }
    }
  }

  private names(name: string): { readonly weight: string; readonly scale: string; readonly zero: string } {
    const { matrix } = this.options;
    const named = matrix.kind === 'nbits' ? matrix.named : 'default';
    const bits = matrix.kind === 'nbits' ? matrix.bits : 4;
    if (named === 'awq')
      return { weight: `${name}.MatMulNBits.qweight`, scale: `${name}.MatMulNBits.scales`, zero: `${name}.MatMulNBits.qzeros` };
    if (named === 'rtn')
      return { weight: `${name}.MatMul.weight_Q${bits}G32`, scale: `${name}.MatMul.weight_scale`, zero: `${name}.MatMul.weight_zp` };
    return { weight: `${name}.MatMul.weight_Q4`, scale: `${name}.MatMul.weight_scales`, zero: `${name}.MatMul.weight_zero_points` };
  }

  private nbitsTensors(name: string, values: Float32Array, rows: number, cols: number, matrix: SampleMatrix & { kind: 'nbits' }): void {
    const { graph } = this;
    const { bits, block, zeros, half: narrow, flat = false } = matrix;
    const made = quantized(values, rows, cols, block, bits, zeros, narrow);
    this.expected.set(`${name}.weight`, made.values);
    const groups = Math.ceil(cols / block);
    const names = this.names(name);
    const blob = (block * bits) / 8;
    graph.tensor(names.weight, bytesOf(packed(made.q, rows, cols, bits, groups * blob), [rows, groups, blob]));
    graph.tensor(names.scale, floats(made.scales, flat ? [rows * groups] : [rows, groups], narrow));
    const pitch = Math.ceil((groups * bits) / 8);
    if (zeros) graph.tensor(names.zero, bytesOf(packed(made.zeros, rows, groups, bits), flat ? [rows * pitch] : [rows, pitch]));
  }

  private nbitsNode(name: string, input: string, rows: number, cols: number, matrix: SampleMatrix & { kind: 'nbits' }): string {
    const names = this.names(name);
    const inputs = [input, names.weight, names.scale, ...(matrix.zeros ? [names.zero] : [])];
    const attributes = { K: cols, N: rows, bits: matrix.bits, block_size: matrix.block, accuracy_level: 4 };
    return this.graph.node('MatMulNBits', inputs, attributes, MICROSOFT);
  }

  private dynamic(
    name: string,
    values: Float32Array,
    rows: number,
    cols: number,
    input: string,
    signed: boolean,
    channels: boolean,
  ): string {
    const { graph } = this;
    const low = signed ? -128 : 0;
    const made = channels
      ? Array.from({ length: rows }, (_, row) => group(values.subarray(row * cols, (row + 1) * cols), low, low + 255, true, false))
      : [group(values, low, low + 255, true, false)];
    const of = (row: number): [Int32Array, number, number] => made[channels ? row : 0];
    const stored = new Int32Array(rows * cols);
    const result = new Float32Array(rows * cols);
    for (let row = 0; row < rows; row++) {
      const [q, scale, zero] = of(row);
      for (let col = 0; col < cols; col++) {
        const one = q[channels ? col : row * cols + col];
        stored[col * rows + row] = one;
        result[row * cols + col] = (one - zero) * scale;
      }
    }
    this.expected.set(`${name}.weight`, result);
    const narrow = (list: Iterable<number>): Uint8Array | Int8Array => (signed ? Int8Array.from(list) : Uint8Array.from(list));
    const dims = channels ? [rows] : [];
    graph.tensor(`${name}_quantized`, bytesOf(narrow(stored), [cols, rows]));
    graph.tensor(`${name}_zero_point`, bytesOf(narrow(made.map(([, , zero]) => zero)), dims));
    graph.tensor(
      `${name}_scale`,
      floats(
        Float32Array.from(made, ([, scale]) => scale),
        dims,
      ),
    );
    const outputs = [`${name}_x`, `${name}_x_scale`, `${name}_x_zero`];
    graph.node('DynamicQuantizeLinear', [input], {}, '', outputs);
    const scale = graph.node('Mul', [outputs[1], `${name}_scale`]);
    const product = graph.node('MatMulInteger', [outputs[0], `${name}_quantized`, outputs[2], `${name}_zero_point`]);
    return graph.node('Mul', [graph.node('Cast', [product], { to: 1 }), scale]);
  }

  private normTensor(name: string): string {
    const offset = this.spec.normOffset;
    const stored = this.weights(`${name}.weight`).map((value) => value + offset);
    this.expected.set(
      `${name}.weight`,
      stored.map((value) => value - offset),
    );
    return this.graph.tensor(`${name}.stored`, floats(stored, [stored.length]));
  }

  private norm(name: string, input: string): string {
    const { graph, spec } = this;
    this.normTensor(name);
    if (this.options.layout === 'builder') return graph.node('SimplifiedLayerNormalization', [input, `${name}.stored`], { axis: -1 });
    graph.tensor(`${name}.two`, floats(Float32Array.of(2), []));
    graph.tensor(`${name}.epsilon`, floats(Float32Array.of(spec.normEps), []));
    graph.tensor(`${name}.one`, floats(Float32Array.of(1), []));
    const mean = graph.node('ReduceMean', [graph.node('Pow', [input, `${name}.two`])]);
    const root = graph.node('Sqrt', [graph.node('Add', [mean, `${name}.epsilon`])]);
    const inner = graph.node('Mul', [input, graph.node('Div', [`${name}.one`, root])]);
    return graph.node('Mul', [`${name}.stored`, graph.node('Cast', [inner], { to: 1 })]);
  }

  private headNorm(name: string, input: string): string {
    const apart = this.graph.node('Reshape', [input, this.shapeOf(input)]);
    return this.graph.node('Reshape', [this.norm(name, apart), this.shapeOf(input)]);
  }
}

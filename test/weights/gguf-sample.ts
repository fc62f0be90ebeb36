import { ggufTypes, type GgufType } from '../../src/formats/gguf.ts';
import { f32ToF16 } from '../../src/formats/float16.ts';
import { quantizeRows } from '../../src/model/quantize.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

/** Writes small GGUF files of a model whose weights are given, with what converters change on the way. */

export type SampleValue =
  string | number | boolean | { readonly f32: number } | readonly string[] | readonly number[] | { readonly i32s: readonly number[] };

export interface SampleTensor {
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly number[];
  readonly type: GgufType;
  readonly bytes: Uint8Array;
}

const utf8 = new TextEncoder();
const little = (write: (view: DataView) => void, bytes: number): Uint8Array => {
  const out = new Uint8Array(bytes);
  write(new DataView(out.buffer));
  return out;
};
const u32 = (value: number): Uint8Array => little((view) => view.setUint32(0, value, true), 4);
const u64 = (value: number): Uint8Array => little((view) => view.setBigUint64(0, BigInt(value), true), 8);
const f32 = (value: number): Uint8Array => little((view) => view.setFloat32(0, value, true), 4);
const text = (value: string): Uint8Array[] => [u64(utf8.encode(value).length), utf8.encode(value)];

/** Numbers of the format's value types. */
const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

function value(of: SampleValue): Uint8Array[] {
  if (typeof of === 'string') return [u32(STRING), ...text(of)];
  if (typeof of === 'number') return [u32(U32), u32(of)];
  if (typeof of === 'boolean') return [u32(BOOL), Uint8Array.of(of ? 1 : 0)];
  if ('f32' in of) return [u32(F32), f32(of.f32)];
  if ('i32s' in of) return [u32(ARRAY), u32(I32), u64(of.i32s.length), ...of.i32s.map(u32)];
  const texts = of.every((one) => typeof one === 'string');
  return [
    u32(ARRAY),
    u32(texts ? STRING : F32),
    u64(of.length),
    ...of.flatMap((one) => (typeof one === 'string' ? text(one) : [f32(one)])),
  ];
}

export function ggufFile(metadata: Readonly<Record<string, SampleValue>>, tensors: readonly SampleTensor[]): Uint8Array {
  const parts = [utf8.encode('GGUF'), u32(3), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, of] of Object.entries(metadata)) parts.push(...text(key), ...value(of));
  const padded = (length: number): number => Math.ceil(length / 32) * 32;
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    parts.push(...text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(ggufTypes[type].id), u64(offset));
    offset += padded(bytes.length);
  }
  const header = parts.reduce((sum, part) => sum + part.length, 0);
  const out = new Uint8Array(padded(header) + offset);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  at = padded(header);
  for (const { bytes } of tensors) {
    out.set(bytes, at);
    at += padded(bytes.length);
  }
  return out;
}

const names: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

/** The name that converters give a tensor. */
export function ggufName(name: string, gemma: boolean): string {
  const whole: Readonly<Record<string, string>> = { 'model.embed_tokens': 'token_embd', 'model.norm': 'output_norm', lm_head: 'output' };
  const [, stem, kind] = /^(.*)\.(weight|bias)$/.exec(name) as unknown as [string, string, string];
  if (Object.hasOwn(whole, stem)) return `${whole[stem]}.${kind}`;
  const [, layer, part] = /^model\.layers\.(\d+)\.(.*)$/.exec(stem) as unknown as [string, string, string];
  const own = part === 'post_attention_layernorm' ? (gemma ? 'post_attention_norm' : 'ffn_norm') : names[part];
  return `blk.${layer}.${own}.${kind}`;
}

/** Rows of each head in the order of interleaved rotary pairs, written as converters do it: [heads, 2, half, ...] -> [heads, half, 2, ...]. */
export function interleaved(values: Float32Array, headDim: number, cols: number): Float32Array {
  const out = new Float32Array(values.length);
  const half = headDim / 2;
  for (let head = 0; head < values.length / cols / headDim; head++) {
    for (let side = 0; side < 2; side++) {
      for (let i = 0; i < half; i++) {
        const from = (head * headDim + side * half + i) * cols;
        out.set(values.subarray(from, from + cols), (head * headDim + i * 2 + side) * cols);
      }
    }
  }
  return out;
}

/** Q8_0 and Q4_0 by the same rule as the engines' own groups; F16 and F32 as they are. */
export function encoded(values: Float32Array, cols: number, type: 'F32' | 'F16' | 'Q8_0' | 'Q4_0'): Uint8Array {
  if (type === 'F32') return new Uint8Array(values.slice().buffer);
  if (type === 'F16') return new Uint8Array(f32ToF16(values).buffer);
  const rows = values.length / cols;
  const { data, scales } = quantizeRows(values, rows, cols, type === 'Q8_0' ? 'q8' : 'q4');
  const size = type === 'Q8_0' ? 34 : 18;
  const out = new Uint8Array(scales.length * size);
  scales.forEach((scale, group) => {
    out.set([scale & 255, scale >> 8], group * size);
    if (type === 'Q8_0') out.set(data.subarray(group * 32, group * 32 + 32), group * size + 2);
    else {
      const nibble = (i: number): number => (data[group * 16 + (i >> 1)] >> ((i & 1) * 4)) & 15;
      for (let i = 0; i < 16; i++) out[group * size + 2 + i] = nibble(i) | (nibble(i + 16) << 4);
    }
  });
  return out;
}

/** Metadata of a model's shape, as converters write it. */
export function ggufShape(arch: string, spec: ModelSpec): Record<string, SampleValue> {
  const [first] = spec.layerSpecs;
  const global = spec.layerSpecs.find(({ window }) => window === null) ?? first;
  return {
    'general.architecture': arch,
    'general.name': 'sample',
    [`${arch}.context_length`]: spec.maxPositions,
    [`${arch}.embedding_length`]: spec.hidden,
    [`${arch}.block_count`]: spec.layers,
    [`${arch}.feed_forward_length`]: spec.intermediate,
    [`${arch}.attention.head_count`]: spec.heads,
    [`${arch}.attention.head_count_kv`]: spec.kvHeads,
    [`${arch}.attention.key_length`]: spec.headDim,
    [`${arch}.attention.layer_norm_rms_epsilon`]: { f32: spec.normEps },
    [`${arch}.rope.freq_base`]: { f32: global.rope.theta },
    ...(first.window === null ? {} : { [`${arch}.attention.sliding_window`]: first.window }),
  };
}

import { writeFile } from 'node:fs/promises';
import { decodeF32 } from '../../../src/formats/safetensors.ts';
import { tensorLayout } from '../../../src/model/layout.ts';
import { LARGE_TABLE_BYTES } from '../../../src/model/memory.ts';
import type { ModelFiles } from '../../../src/model/model.ts';
import type { Quantization, TensorInfo, TensorRequirement, WeightSource } from '../../../src/model/weights.ts';
import { characterOf } from '../token-characters.ts';
import {
  encoded,
  ggufFile,
  ggufName,
  ggufShape,
  interleaved,
  type SampleTensor,
  type SampleValue,
} from '../../../test/weights/gguf-sample.ts';

/** Whether a table (embedding, head) is kept in int8: the engines' own rule, so that every engine has the same integers. */
export const largeTable = ({ dtype, shape }: TensorInfo): boolean => shape[0] * shape[1] * (dtype === 'F32' ? 4 : 2) > LARGE_TABLE_BYTES;

export async function readF32(source: WeightSource, name: string): Promise<Float32Array> {
  const info = infoOf(source, name);
  const bytes = info.shape.reduce((product, length) => product * length, info.dtype === 'F32' ? 4 : 2);
  return decodeF32(await source.read(name, 0, bytes), info.dtype, name);
}

export function infoOf(source: WeightSource, name: string): TensorInfo {
  const info = source.tensors.get(name);
  if (!info) throw new Error(`there is no tensor ${name}`);
  return info;
}

function typeOf({ role, shape }: TensorRequirement, info: TensorInfo, quantization: Quantization): 'F32' | 'Q8_0' | 'Q4_0' {
  if (shape.length === 1 || quantization === 'none') return 'F32';
  if (role === 'embed' || role === 'head') return largeTable(info) ? 'Q8_0' : 'F32';
  return quantization === 'q8' ? 'Q8_0' : 'Q4_0';
}

/**
 * A tokenizer for peers that are to be given ids: every token is one character, which wllama, whose prompts and answers are texts,
 * reads and writes as that token. llama.cpp ends where a byte has no token, so the last 256, which are rare, are bytes.
 */
function vocabulary(size: number, bos: number, eos: number): Record<string, SampleValue> {
  const firstByte = size - 256;
  const byte = (id: number): string => `<0x${(id - firstByte).toString(16).toUpperCase().padStart(2, '0')}>`;
  const tokens = Array.from({ length: size }, (_, id) => (id < firstByte ? characterOf(id) : byte(id)));
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.scores': tokens.map((_, id) => -id),
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, id) => (id === eos ? CONTROL : id < firstByte ? NORMAL : BYTE)) },
    'tokenizer.ggml.bos_token_id': bos,
    'tokenizer.ggml.eos_token_id': eos,
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_space_prefix': false,
  };
}

/** Types of tokens. */
const NORMAL = 1;
const CONTROL = 3;
const BYTE = 6;

/**
 * Writes a Llama model's weights as a GGUF file for llama.cpp: Q4_0 and Q8_0 by the engines' own rule, so that integers and scales are
 * the very ones that the other engines have. Holds the finished file in memory once.
 */
export async function writeGguf({ spec, source }: ModelFiles, quantization: Quantization, path: string): Promise<void> {
  const tensors: SampleTensor[] = [];
  for (const requirement of tensorLayout(spec)) {
    const { name, role, shape } = requirement;
    const type = typeOf(requirement, infoOf(source, name), quantization);
    const values = await readF32(source, name);
    const cols = shape[shape.length - 1];
    const stored = role === 'q' || role === 'k' ? interleaved(values, spec.headDim, cols) : values;
    tensors.push({ name: ggufName(name, false), shape, type, bytes: encoded(stored, cols, type) });
  }
  const metadata: Record<string, SampleValue> = {
    ...ggufShape('llama', spec),
    'llama.rope.dimension_count': spec.headDim,
    'llama.attention.value_length': spec.headDim,
    'llama.vocab_size': spec.vocab,
    ...vocabulary(spec.vocab, spec.bosId ?? 1, spec.eosIds[0] ?? 2),
  };
  await writeFile(path, ggufFile(metadata, tensors));
}

import { tensorLayout } from '../../src/model/layout.ts';
import { ropeFrequencies } from '../../src/model/rope.ts';
import { encoded, ggufFile, ggufName, ggufShape, interleaved, type SampleTensor, type SampleValue } from './gguf-sample.ts';
import { goldenModel } from './golden-weights.ts';

export type MatrixType = 'F32' | 'F16' | 'Q8_0' | 'Q4_0';

export const sampleVocabulary = (size: number): Record<string, SampleValue> => ({
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': Array.from(
    { length: size },
    (_, id) => ['<unk>', '<s>', '</s>', '\u2581', 'a', 'b', 'ab', '\u2581ab'].at(id) ?? `t${id}`,
  ),
  'tokenizer.ggml.scores': Array.from({ length: size }, (_, id) => -id),
  'tokenizer.ggml.token_type': { i32s: Array.from({ length: size }, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : 1)) },
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.ggml.unknown_token_id': 0,
});

export interface GgufSample {
  readonly bytes: Uint8Array;
  /** Matrices that the type can hold, by name: their values as given. */
  readonly expected: ReadonlyMap<string, { readonly values: Float32Array; readonly cols: number; readonly type: MatrixType }>;
}

/** A golden model's tensors as a file has them; matrices whose rows are no whole number of blocks stay f16, as converters leave them. */
export function sampleTensors(golden: string, arch: string, wanted: MatrixType): SampleTensor[] {
  const model = goldenModel(golden);
  const { spec } = model;
  return tensorLayout(spec).map(({ name, shape, role }) => {
    const given = model.weights(name);
    const type = typeOf(shape, wanted);
    const cols = shape.length === 2 ? shape[1] : 1;
    const plus = name.endsWith('norm.weight') ? given.map((value) => value + spec.normOffset) : given;
    const stored = arch === 'llama' && ['q', 'k', 'q_bias', 'k_bias'].includes(role) ? interleaved(plus, spec.headDim, cols) : plus;
    return { name: ggufName(name, spec.sandwichNorm), shape, type, bytes: encoded(stored, cols === 1 ? stored.length : cols, type) };
  });
}

function typeOf(shape: readonly number[], wanted: MatrixType): MatrixType {
  if (shape.length === 1) return 'F32';
  return shape[1] % 32 === 0 || wanted === 'F32' ? wanted : 'F16';
}

/** A GGUF file of a golden model, as a converter writes it. */
export function ggufSample(
  golden: string,
  arch: string,
  wanted: MatrixType,
  more: Readonly<Record<string, SampleValue>> = {},
  extra: 'factors' | null = null,
): GgufSample {
  const model = goldenModel(golden);
  const { spec } = model;
  const tensors = sampleTensors(golden, arch, wanted);
  const expected = new Map(
    tensorLayout(spec).map(({ name, shape }) => {
      const given = model.weights(name);
      const offset = name.endsWith('norm.weight') ? spec.normOffset : 0;
      const values = given.map((value) => value + offset).map((value) => value - offset);
      return [name, { values, cols: shape.length === 2 ? shape[1] : 1, type: typeOf(shape, wanted) }];
    }),
  );
  if (extra === 'factors') {
    const { rope } = spec.layerSpecs[0];
    const plain = ropeFrequencies({ ...rope, scaling: null }, spec.headDim);
    const factors = Float32Array.from(ropeFrequencies(rope, spec.headDim), (scaled, i) => plain[i] / scaled);
    tensors.push({ name: 'rope_freqs.weight', shape: [factors.length], type: 'F32', bytes: encoded(factors, 1, 'F32') });
  }
  return { bytes: ggufFile({ ...ggufShape(arch, spec), ...sampleVocabulary(spec.vocab), ...more }, tensors), expected };
}

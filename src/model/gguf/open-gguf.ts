import { parseConfig } from '../config.ts';
import type { FileAccess } from '../files.ts';
import { rowSource, type RowTensor } from '../row-tensors.ts';
import type { ModelSpec } from '../spec.ts';
import type { WeightSource } from '../weights.ts';
import { architectureOf, checkpointName, type Architecture } from './architectures.ts';
import { configOfMetadata } from './config-of-metadata.ts';
import { ggufTensor, type Undo } from './gguf-tensors.ts';
import { readGgufFiles, type StoredTensor } from './gguf-files.ts';
import { Metadata } from './metadata.ts';
import { tokenizerOfMetadata, type TokenizerParts } from './tokenizer-of-metadata.ts';

export interface GgufModel {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  /** tokenizer.json and tokenizer_config.json, or why there are none. */
  readonly tokenizer: TokenizerParts | { readonly problem: string };
  readonly bytes: number;
  readonly notes: readonly string[];
  /** Types of the file's matrices, the commonest first. */
  readonly types: readonly string[];
}

const FACTORS = 'rope_freqs.weight';

/**
 * A GGUF file as a model: shape and tokenizer from its metadata, tensors under the names of a Hugging Face checkpoint, in its row
 * order and without what was added to norms. Reads the header now and weights later, by ranges.
 * @throws model/not-found, model/unknown-family, model/config, model/file, network/failed
 */
export async function openGguf(files: FileAccess, path: string, signal?: AbortSignal): Promise<GgufModel> {
  const stored = await readGgufFiles(files, path, signal);
  const metadata = new Metadata(stored.metadata, path);
  const name = metadata.text('general.architecture') ?? metadata.refuse('it does not say its architecture');
  const architecture = architectureOf(name);
  const names = new Map<string, StoredTensor>();
  const extra: string[] = [];
  for (const [from, tensor] of stored.tensors) {
    const to = checkpointName(from, architecture);
    if (to !== null) names.set(to, tensor);
    else if (from !== FACTORS) extra.push(from);
  }
  const embed = names.get('model.embed_tokens.weight');
  if (!embed) return metadata.refuse('it has no token_embd.weight');
  const factors = stored.tensors.get(FACTORS);
  const config = configOfMetadata(metadata, name, architecture, {
    vocab: embed.shape.at(1) ?? 0,
    ownHead: names.has('lm_head.weight'),
    attentionBias: names.has('model.layers.0.self_attn.q_proj.bias'),
    mlpBias: names.has('model.layers.0.mlp.gate_proj.bias'),
    ropeFactors: factors ? await ropeFactors(files, factors, metadata, signal) : null,
  });
  const spec = withBiases(parseConfig(config), names);

  const tensors = new Map<string, RowTensor>();
  for (const [to, tensor] of names) tensors.set(to, ggufTensor(files, to, tensor, undoFor(to, architecture, spec)));
  const tokenizer = tokenizerOfMetadata(metadata);
  const unread = metadata.unread(`${name}.`);
  const notes: string[] = [];
  if (extra.length > 0) notes.push(`Tensors of ${path} that are not used: ${extra.slice(0, 3).join(', ')}${rest(extra.length - 3)}.`);
  if (unread.length > 0) notes.push(`Metadata of ${path} that is not used: ${unread.slice(0, 5).join(', ')}${rest(unread.length - 5)}.`);
  return { spec, source: rowSource(tensors, stored.identity, path), tokenizer, bytes: stored.bytes, notes, types: matrixTypes(names) };
}

const rest = (count: number): string => (count > 0 ? ` and ${count} more` : '');

/** Files do not say which projections have a bias: the tensors do. */
function withBiases(spec: ModelSpec, names: ReadonlyMap<string, unknown>): ModelSpec {
  if (!spec.bias.qkv) return spec;
  return { ...spec, bias: { ...spec.bias, o: names.has('model.layers.0.self_attn.o_proj.bias') } };
}

async function ropeFactors(files: FileAccess, tensor: StoredTensor, metadata: Metadata, signal?: AbortSignal): Promise<Float32Array> {
  const count = tensor.shape.reduce((product, length) => product * length, 1);
  if (tensor.type !== 'F32' || count < 1 || count > 4096) return metadata.refuse(`${FACTORS} is not a short list of f32 numbers`);
  return new Float32Array((await files.read(tensor.file, tensor.start, tensor.end, signal)).slice().buffer);
}

function undoFor(name: string, architecture: Architecture, spec: ModelSpec): Undo {
  const paired = architecture.interleaved && /\.(q|k)_proj\.(weight|bias)$/.test(name);
  return { interleavedHead: paired ? spec.headDim : null, plusOne: architecture.normPlusOne && /norm\.weight$/.test(name) };
}

function matrixTypes(names: ReadonlyMap<string, StoredTensor>): string[] {
  const sizes = new Map<string, number>();
  for (const { type, shape, start, end } of names.values()) {
    if (shape.length > 1) sizes.set(type, (sizes.get(type) ?? 0) + end - start);
  }
  return [...sizes].sort(([, a], [, b]) => b - a).map(([type]) => type);
}

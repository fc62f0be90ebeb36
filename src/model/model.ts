import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';
import { parseConfig, readIds } from './config.ts';
import { readJsonFile, readSmall, type FileAccess } from './files.ts';
import { storedFingerprint, type Fingerprint } from './fingerprint.ts';
import { checkTensors, tensorLayout } from './layout.ts';
import type { ModelSpec } from './spec.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';
import { openOnnxWeights } from './onnx-weights/open-onnx.ts';
import { suggestedFor } from './quantized-types.ts';
import { openGguf } from './gguf/open-gguf.ts';
import { openWeights } from './weight-files.ts';
import { findWeights, formatOfName } from './weight-format.ts';
import type { Quantization, WeightSource } from './weights.ts';

/** A model that is ready to be loaded by an engine: checked, described, its weights readable by ranges. */
export interface ModelFiles {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  /** null where there is no tokenizer: the model can then be run on token ids only. */
  readonly tokenizer: Tokenizer | null;
  readonly fingerprint: Fingerprint | null;
  /** Bytes of the weight files. */
  readonly weightBytes: number;
  /** How the weights are stored: `safetensors`, or the types of an ONNX or GGUF file's matrices, the commonest first. */
  readonly stored: readonly string[];
  /** The smallest way to keep the weights that changes them little or not at all. */
  readonly suggested: Quantization;
  /** What was found and not used, one sentence each: to be shown, nothing is passed over silently. */
  readonly notes: readonly string[];
}

/** What a kind of file gives: everything but the checks that are the same for all. */
interface Opened {
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  readonly tokenizer: Tokenizer | null;
  readonly weightBytes: number;
  readonly stored: readonly string[];
  readonly suggested: Quantization;
  readonly notes: readonly string[];
}

/**
 * Opens a model. A Hugging Face folder: config.json, safetensors or an ONNX export, tokenizer.json, tokenizer_config.json, and where
 * present generation_config.json and chat_template.jinja. Or a GGUF file, which holds everything itself. Reads small files and
 * headers; weights are read later, by ranges.
 * @param weights the weight file to take, where there are several
 * @throws model/not-found, model/config, model/unknown-family, model/file, model/tensor-missing, model/tensor-shape, model/tokenizer
 */
export async function openModel(files: FileAccess, signal?: AbortSignal, weights?: string): Promise<ModelFiles> {
  const opened = await openByFormat(files, weights, signal);
  const { spec, source, tokenizer } = opened;
  const { extra } = checkTensors(spec, source);
  const notes = [...opened.notes];
  const images = extra.filter((name) => /(^|\.)(vision_tower|vision_model|multi_modal_projector)\./.test(name));
  if (images.length > 0) notes.push(`Only the text part is loaded: ${images.length} tensors of the vision part are not used.`);
  const others = extra.filter((name) => !images.includes(name));
  if (others.length > 0) notes.push(`Not used by the ${spec.family} model: ${someOf(others)}.`);
  if (tokenizer !== null && tokenizer.vocabSize > spec.vocab) {
    notes.push(`The tokenizer knows ${tokenizer.vocabSize} tokens, the model ${spec.vocab}: text that needs the others cannot be used.`);
  }
  return { ...opened, name: files.name, fingerprint: storedFingerprint(source.identity), notes };
}

async function openByFormat(files: FileAccess, weights?: string, signal?: AbortSignal): Promise<Opened> {
  const named = weights === undefined ? null : formatOfName(weights);
  if (weights !== undefined && named === null) {
    throw new TillerError('model/not-found', { place: weights, problem: 'its name ends in neither .safetensors, .onnx nor .gguf' });
  }
  const hasConfig = (await files.size('config.json', signal)) !== null;
  const place = weights !== undefined && named !== null ? { format: named, path: weights } : await findWeights(files, signal);
  if (place?.format === 'gguf') return openGgufModel(files, place.path, signal);
  if (!hasConfig) throw new TillerError('model/not-found', { place: files.name, problem: 'there is no config.json' });
  const spec = await readSpec(files, signal);
  if (place?.format === 'onnx') return openOnnxModel(files, place.path, spec, signal);
  const { source, unreadable, bytes } = await openWeights(files, signal);
  for (const { name } of tensorLayout(spec)) {
    const dtype = unreadable.get(name);
    if (dtype) throw new TillerError('model/file', { file: name, problem: `the tensor is stored as ${dtype}; F32, F16 and BF16 are read` });
  }
  return { spec, source, ...(await withTokenizer(files, [], signal)), weightBytes: bytes, stored: ['safetensors'], suggested: 'none' };
}

async function readSpec(files: FileAccess, signal?: AbortSignal): Promise<ModelSpec> {
  return withGenerationConfig(files, parseConfig(await readJsonFile(files, 'config.json', signal)), signal);
}

async function withTokenizer(
  files: FileAccess,
  notes: readonly string[],
  signal?: AbortSignal,
): Promise<{ readonly tokenizer: Tokenizer | null; readonly notes: readonly string[] }> {
  const tokenizer = await openTokenizer(files, signal);
  return { tokenizer, notes: tokenizer ? notes : [...notes, 'There is no tokenizer.json: only token ids can be used.'] };
}

async function openGgufModel(files: FileAccess, path: string, signal?: AbortSignal): Promise<Opened> {
  const { spec, source, tokenizer, bytes, notes, types } = await openGguf(files, path, signal);
  const problem = 'problem' in tokenizer ? [`${tokenizer.problem}: only token ids can be used.`] : [];
  return {
    spec,
    source,
    tokenizer: 'problem' in tokenizer ? null : createTokenizer(tokenizer.json, tokenizer.config),
    weightBytes: bytes,
    stored: types,
    suggested: suggestedFor(types),
    notes: [...notes, ...problem],
  };
}

async function openOnnxModel(files: FileAccess, path: string, spec: ModelSpec, signal?: AbortSignal): Promise<Opened> {
  const { source, bytes, notes, types } = await openOnnxWeights(files, path, spec, signal);
  return {
    spec,
    source,
    ...(await withTokenizer(files, notes, signal)),
    weightBytes: bytes,
    stored: types,
    suggested: suggestedFor(types),
  };
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more tensors` : shown;
}

/** Chat models often list their end tokens only in generation_config.json; both lists count. */
async function withGenerationConfig(files: FileAccess, spec: ModelSpec, signal?: AbortSignal): Promise<ModelSpec> {
  const generation = await readJsonFile(files, 'generation_config.json', signal);
  if (!isRecord(generation)) return spec;
  const more = readIds(generation.eos_token_id, 'generation_config.json');
  return { ...spec, eosIds: [...new Set([...spec.eosIds, ...more])] };
}

async function openTokenizer(files: FileAccess, signal?: AbortSignal): Promise<Tokenizer | null> {
  const parts = await folderTokenizer(files, signal);
  return parts && createTokenizer(parts.json, parts.config);
}

/** tokenizer.json and tokenizer_config.json of a folder, the chat template put into the latter. */
async function folderTokenizer(
  files: FileAccess,
  signal?: AbortSignal,
): Promise<{ json: unknown; config: Record<string, unknown> } | null> {
  const json = await readJsonFile(files, 'tokenizer.json', signal);
  if (json === undefined) return null;
  const config = (await readJsonFile(files, 'tokenizer_config.json', signal)) ?? {};
  if (!isRecord(config)) throw new TillerError('model/file', { file: 'tokenizer_config.json', problem: 'it is not an object' });
  const template = await chatTemplate(files, config, signal);
  return { json, config: template === null ? config : { ...config, chat_template: template } };
}

/**
 * What createTokenizer takes, of a model that openModel opens: for another machine to encode text with. Null where there is none.
 * @throws model/not-found, model/file
 */
export async function readTokenizerParts(
  files: FileAccess,
  weights?: string,
  signal?: AbortSignal,
): Promise<{ readonly json: unknown; readonly config: unknown } | null> {
  const path = weights ?? (await findWeights(files, signal))?.path;
  if (path === undefined || formatOfName(path) !== 'gguf') return folderTokenizer(files, signal);
  const { tokenizer } = await openGguf(files, path, signal);
  return 'problem' in tokenizer ? null : { json: tokenizer.json, config: tokenizer.config };
}

/** The chat template from a file of its own, where tokenizer_config.json does not carry it. Newer folders keep it in chat_template.jinja. */
async function chatTemplate(files: FileAccess, config: Record<string, unknown>, signal?: AbortSignal): Promise<string | null> {
  const bytes = await readSmall(files, 'chat_template.jinja', signal);
  if (bytes !== null) return new TextDecoder().decode(bytes);
  if (config.chat_template !== undefined && config.chat_template !== null) return null;
  const json = await readJsonFile(files, 'chat_template.json', signal);
  return isRecord(json) && typeof json.chat_template === 'string' ? json.chat_template : null;
}

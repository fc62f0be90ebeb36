import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';
import { parseConfig, readIds } from './config.ts';
import { readJsonFile, readSmall, type FileAccess } from './files.ts';
import { storedFingerprint, type Fingerprint } from './fingerprint.ts';
import { checkTensors, tensorLayout } from './layout.ts';
import type { ModelSpec } from './spec.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';
import { openWeights } from './weight-files.ts';
import type { WeightSource } from './weights.ts';

/** A model that is ready to be loaded by an engine: checked, described, its weights readable by ranges. */
export interface ModelFiles {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  /** null where the folder has no tokenizer.json: the model can then be run on token ids only. */
  readonly tokenizer: Tokenizer | null;
  readonly fingerprint: Fingerprint | null;
  /** Bytes of the weight files. */
  readonly weightBytes: number;
  /** What was found and not used, one sentence each: to be shown, nothing is passed over silently. */
  readonly notes: readonly string[];
}

/**
 * Opens a Hugging Face folder: config.json, safetensors, tokenizer.json, tokenizer_config.json, and where present
 * generation_config.json and chat_template.jinja. Reads small files and headers; weights are read later, by ranges.
 * @throws model/not-found, model/config, model/unknown-family, model/file, model/tensor-missing, model/tensor-shape, model/tokenizer
 */
export async function openModel(files: FileAccess, signal?: AbortSignal): Promise<ModelFiles> {
  const config = await readJsonFile(files, 'config.json', signal);
  if (config === undefined) throw new TillerError('model/not-found', { place: files.name, problem: 'there is no config.json' });
  const spec = await withGenerationConfig(files, parseConfig(config), signal);
  const { source, unreadable, bytes } = await openWeights(files, signal);
  for (const { name } of tensorLayout(spec)) {
    const dtype = unreadable.get(name);
    if (dtype) throw new TillerError('model/file', { file: name, problem: `the tensor is stored as ${dtype}; F32, F16 and BF16 are read` });
  }
  const { extra } = checkTensors(spec, source);
  const tokenizer = await openTokenizer(files, signal);
  const notes: string[] = [];
  if (extra.length > 0) notes.push(`Not used by the ${spec.family} model: ${someOf(extra)}.`);
  if (tokenizer === null) notes.push('There is no tokenizer.json: only token ids can be used.');
  else if (tokenizer.vocabSize > spec.vocab) {
    notes.push(`The tokenizer knows ${tokenizer.vocabSize} tokens, the model ${spec.vocab}: text that needs the others cannot be used.`);
  }
  return { name: files.name, spec, source, tokenizer, fingerprint: storedFingerprint(source.identity), weightBytes: bytes, notes };
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
  const json = await readJsonFile(files, 'tokenizer.json', signal);
  if (json === undefined) return null;
  const config = (await readJsonFile(files, 'tokenizer_config.json', signal)) ?? {};
  if (!isRecord(config)) throw new TillerError('model/file', { file: 'tokenizer_config.json', problem: 'it is not an object' });
  const template = await chatTemplate(files, config, signal);
  return createTokenizer(json, template === null ? config : { ...config, chat_template: template });
}

/** The chat template from a file of its own, where tokenizer_config.json does not carry it. Newer folders keep it in chat_template.jinja. */
async function chatTemplate(files: FileAccess, config: Record<string, unknown>, signal?: AbortSignal): Promise<string | null> {
  const bytes = await readSmall(files, 'chat_template.jinja', signal);
  if (bytes !== null) return new TextDecoder().decode(bytes);
  if (config.chat_template !== undefined && config.chat_template !== null) return null;
  const json = await readJsonFile(files, 'chat_template.json', signal);
  return isRecord(json) && typeof json.chat_template === 'string' ? json.chat_template : null;
}

import { TillerError } from '../errors/error.ts';
import type { ModelFiles } from '../model/model.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { PromptToken } from './engine-protocol.ts';
import type { Input } from './experiment.ts';

/** @throws model/tokenizer where the folder has none */
export function needTokenizer(files: Pick<ModelFiles, 'tokenizer'>): Tokenizer {
  if (!files.tokenizer) throw new TillerError('model/tokenizer', { problem: 'there is no tokenizer.json' });
  return files.tokenizer;
}

/** A prompt as the model gets it, token by token: template and control tokens included, so that they can be drawn and steered. */
export function promptTokens(files: Pick<ModelFiles, 'tokenizer'>, input: Input): PromptToken[] {
  const tokenizer = needTokenizer(files);
  const system = input.system.trim() === '' ? [] : [{ role: 'system' as const, content: input.system }];
  const { ids, roles } =
    input.mode === 'chat'
      ? tokenizer.chat([...system, { role: 'user', content: input.prompt }])
      : { ids: tokenizer.encode(input.prompt), roles: [] };
  if (ids.length === 0) throw new TillerError('request/invalid', { problem: 'the prompt is empty' });
  const stream = tokenizer.decodeStream();
  return ids.map((id, i) => ({ id, text: tokenizer.isControl(id) ? tokenizer.piece(id) : stream.push(id), role: roles[i] ?? null }));
}

export const encodeText = (files: Pick<ModelFiles, 'tokenizer'>, text: string): number[] => needTokenizer(files).encode(text);

/** Ids of a word as it stands inside a text. Some tokenizers put the space before a word themselves, others want to be given it. */
export function encodeWord(files: Pick<ModelFiles, 'tokenizer'>, word: string): number[] {
  const tokenizer = needTokenizer(files);
  const trimmed = word.trim();
  if (trimmed === '') return [];
  const bare = tokenizer.encode(trimmed, { special: false });
  const spaced = tokenizer.encode(` ${trimmed}`, { special: false });
  return spaced.length <= bare.length ? spaced : bare;
}

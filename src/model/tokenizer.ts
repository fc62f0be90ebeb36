import { Tokenizer as Library } from '@huggingface/tokenizers';
import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';
import type { Role } from '../graph/document.ts';
import { createChatTemplate, type ChatMessage, type ChatOptions, type ChatTemplate } from './chat-template.ts';
import { createDecodeStream, type DecodeStream } from './decode-stream.ts';
import { showBytes, spellingOf, tokenBytes } from './token-bytes.ts';
import { tokenRoles } from './token-roles.ts';

/** Text to token ids and back, as the model was trained with. */
export interface Tokenizer {
  /** Ids from 0 to this, exclusive. */
  readonly vocabSize: number;
  readonly hasChatTemplate: boolean;
  /** @param options.special whether the tokens that open every text (BOS) are put first. @default true */
  encode(text: string, options?: { readonly special?: boolean }): number[];
  /** @param options.special whether control tokens appear in the text. @default false */
  decode(ids: readonly number[], options?: { readonly special?: boolean }): string;
  /** What one token adds to a text, for drawing tokens: control tokens by name, parts of characters as `\xE4`. */
  piece(id: number): string;
  /** Whether a token is a control token rather than text. */
  isControl(id: number): boolean;
  /** @param context tokens before the first one pushed, so that a continuation keeps its leading space */
  decodeStream(context?: readonly number[]): DecodeStream;
  /** A conversation as the model expects it, with the role of every token. @throws model/tokenizer without a chat template */
  chat(messages: readonly ChatMessage[], options?: ChatOptions): { ids: number[]; roles: (Role | null)[] };
}

function refuse(problem: string, cause?: unknown): never {
  throw new TillerError('model/tokenizer', { problem }, { cause });
}

const VOCAB_LIMIT = 4_194_304;

/**
 * A tokenizer from tokenizer.json and tokenizer_config.json as parsed. `chat_template` of the config may be a text or a list of named
 * ones, of which `default` is taken.
 * @throws model/tokenizer
 */
export function createTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown): Tokenizer {
  if (!isRecord(tokenizerJson)) return refuse('tokenizer.json is not an object');
  if (!isRecord(tokenizerConfig)) return refuse('tokenizer_config.json is not an object');
  const controls = checkParts(tokenizerJson);
  const spelling = spellingOf(tokenizerJson.decoder);
  let library: Library;
  try {
    library = new Library({ ...tokenizerJson, added_tokens: tokenizerJson.added_tokens ?? [] }, withoutNulls(tokenizerConfig));
  } catch (cause) {
    return refuse(`tokenizer.json is not understood (${reason(cause)})`, cause);
  }
  const vocabSize = library.model?.vocab.length ?? 0;
  if (vocabSize > VOCAB_LIMIT) return refuse(`it has ${vocabSize} tokens, the limit is ${VOCAB_LIMIT}`);
  const template = readTemplate(tokenizerConfig);

  const token = (id: number): string => {
    const text = Number.isSafeInteger(id) && id >= 0 ? library.id_to_token(id) : undefined;
    if (text === undefined)
      throw new TillerError('request/invalid', { problem: `${id} is not a token id; the tokenizer has ${vocabSize} tokens` });
    return text;
  };
  const bytes = (id: number): Uint8Array => (controls.has(id) ? new TextEncoder().encode(token(id)) : tokenBytes(token(id), spelling));
  const encode = (text: string, special: boolean): number[] => {
    const { ids } = library.encode(text, { add_special_tokens: special });
    const lost = ids.findIndex((id) => !Number.isSafeInteger(id));
    if (lost >= 0) return refuse('the text has a character that the vocabulary cannot spell');
    return ids;
  };
  const decode = (ids: readonly number[], special: boolean): string => {
    for (const id of ids) token(id);
    const kept = special ? [...ids] : ids.filter((id) => !controls.has(id));
    if (kept.length === 0) return '';
    return library.decode(kept, { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  };

  return {
    vocabSize,
    hasChatTemplate: template !== null,
    encode: (text, options = {}) => encode(text, options.special ?? true),
    decode: (ids, options = {}) => decode(ids, options.special ?? false),
    piece: (id) => showBytes(bytes(id)),
    isControl: (id) => controls.has(id),
    decodeStream: (context = []) => createDecodeStream((ids) => decode(ids, false), context),
    chat(messages, options = {}) {
      if (template === null) return refuse('it has no chat template, so the model knows no conversations');
      const { text, spans } = template.render(messages, options);
      const ids = encode(text, false);
      const pieces = ids.map((id) => ({ bytes: bytes(id), control: controls.has(id) }));
      return { ids, roles: tokenRoles(text, pieces, spans) };
    },
  };
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** The library reads these parts without looking; wrong types would surface as nonsense later. Returns the ids of control tokens. */
function checkParts(json: Record<string, unknown>): ReadonlySet<number> {
  if (!isRecord(json.model)) return refuse('tokenizer.json has no model');
  const { vocab, type } = json.model;
  if (!isRecord(vocab) && !Array.isArray(vocab)) return refuse('tokenizer.json has no vocabulary');
  if (type !== undefined && type !== null && type !== 'BPE' && type !== 'Unigram') {
    return refuse(`its model is of the type ${(JSON.stringify(type) ?? 'undefined').slice(0, 100)}; known are BPE and Unigram`);
  }
  const size = Array.isArray(vocab) ? vocab.length : Object.keys(vocab).length;
  if (!Array.isArray(vocab)) {
    for (const id of Object.values(vocab)) if (!isId(id, size)) return refuse('its vocabulary has an id that is not a small whole number');
  }
  const controls = new Set<number>();
  const added: unknown = json.added_tokens ?? [];
  if (!Array.isArray(added)) return refuse('added_tokens is not a list');
  for (const entry of added as unknown[]) {
    if (!isRecord(entry) || typeof entry.content !== 'string' || !isId(entry.id, size))
      return refuse('added_tokens has an entry without content and id');
    if (entry.special === true) controls.add(entry.id);
  }
  return controls;
}

/** Ids index an array inside the library: one huge id would make that array huge. Holes are allowed, within reason. */
function isId(id: unknown, size: number): id is number {
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 && id < 4 * size + 65536 && id < VOCAB_LIMIT;
}

/** The library takes null for a value; a key that is null in the file is one that is not set. */
function withoutNulls(config: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
}

function readTemplate(config: Record<string, unknown>): ChatTemplate | null {
  const stored = config.chat_template ?? null;
  if (stored === null) return null;
  let source: unknown = stored;
  if (Array.isArray(stored)) {
    const named = (stored as unknown[]).filter(isRecord);
    source = (named.find(({ name }) => name === 'default') ?? named[0])?.template;
  }
  if (typeof source !== 'string') return refuse('chat_template is neither a text nor a list of named ones');
  return createChatTemplate(source, namedTokens(config));
}

/** bos_token and its like, as plain text: the config has them as text or as objects with `content`. */
function namedTokens(config: Record<string, unknown>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (!/^[a-z]+_token$/.test(key)) continue;
    const text = isRecord(value) ? value.content : value;
    if (typeof text === 'string') out[key] = text;
  }
  return out;
}

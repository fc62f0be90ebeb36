import type { Metadata } from './metadata.ts';
import { byteLevelModel } from './byte-level-tokenizer.ts';
import { mergesOfScores, sentencePieceModel } from './sentencepiece-tokenizer.ts';

/** A tokenizer in the form of Hugging Face files. */
export interface TokenizerParts {
  readonly json: Record<string, unknown>;
  readonly config: Record<string, unknown>;
}

/** Kinds of tokens, by their numbers in `tokenizer.ggml.token_type`. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** What every kind of tokenizer is made from. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly vocab: Readonly<Record<string, number>>;
  readonly bos: string | null;
  readonly unknown: string | null;
}

/**
 * tokenizer.json and tokenizer_config.json of GGUF metadata, or what stands in their way: a model can be run on token ids without.
 * @throws model/file where the metadata contradicts itself
 */
export function tokenizerOfMetadata(metadata: Metadata): TokenizerParts | { readonly problem: string } {
  const model = metadata.text('tokenizer.ggml.model');
  const stored = metadata.texts('tokenizer.ggml.tokens');
  if (model === null || stored === null) return { problem: 'The file has no tokenizer' };
  const types = metadata.numbers('tokenizer.ggml.token_type') ?? stored.map(() => 1);
  if (types.length !== stored.length) metadata.refuse(`it has ${stored.length} tokens and ${types.length} token types`);
  const sentencePiece = model === 'llama';
  // Converters write the spaces of user-defined tokens out; in a SentencePiece vocabulary they are U+2581.
  const tokens = sentencePiece ? stored.map((token, id) => (types[id] === USER_DEFINED ? token.replaceAll(' ', '\u2581') : token)) : stored;
  const named = (kind: string): string | null => {
    const id = metadata.number(`tokenizer.ggml.${kind}_token_id`);
    return id === null ? null : (tokens[id] ?? metadata.refuse(`its ${kind} token is ${id}, it has ${tokens.length} tokens`));
  };
  const vocabulary: Vocabulary = {
    tokens,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    bos: named('bos'),
    unknown: named('unknown'),
  };

  let parts: Record<string, unknown>;
  let opens: boolean;
  if (sentencePiece) {
    const scores = metadata.numbers('tokenizer.ggml.scores');
    if (scores?.length !== tokens.length) return metadata.refuse(`it has ${tokens.length} tokens and ${scores?.length ?? 'no'} scores`);
    const prefix = metadata.flag('tokenizer.ggml.add_space_prefix') ?? true;
    parts = sentencePieceModel(vocabulary, mergesOfScores(tokens, vocabulary.vocab, scores), prefix);
    opens = true;
  } else if (model === 'gpt2') {
    const merges = metadata.texts('tokenizer.ggml.merges');
    if (merges === null) return metadata.refuse('it has no key tokenizer.ggml.merges');
    const kind = metadata.text('tokenizer.ggml.pre') ?? 'default';
    const made = byteLevelModel(vocabulary, merges, kind);
    if ('problem' in made) return made;
    parts = made.parts;
    opens = made.opens;
  } else {
    return { problem: `The file's tokenizer is of the kind "${model.slice(0, 100)}"; llama and gpt2 are read` };
  }

  const first = (metadata.flag('tokenizer.ggml.add_bos_token') ?? opens) ? vocabulary.bos : null;
  const added = tokens.flatMap((content, id) => addedToken(content, id, types[id]));
  return {
    json: {
      version: '1.0',
      added_tokens: added,
      ...parts,
      post_processor: first === null ? null : opening(first, vocabulary.vocab[first]),
    },
    config: {
      ...namedTokens({ bos: vocabulary.bos, eos: named('eos'), unk: vocabulary.unknown, pad: named('padding') }),
      add_bos_token: first !== null,
      chat_template: metadata.text('tokenizer.chat_template'),
    },
  };
}

function addedToken(content: string, id: number, type: number): Record<string, unknown>[] {
  const special = type === CONTROL || type === UNKNOWN;
  if (!special && type !== USER_DEFINED) return [];
  return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
}

/** A text begins with `token`. */
function opening(token: string, id: number): Record<string, unknown> {
  const first = { SpecialToken: { id: token, type_id: 0 } };
  const text = { Sequence: { id: 'A', type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [first, text],
    pair: [first, text, { SpecialToken: { id: token, type_id: 1 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function namedTokens(tokens: Readonly<Record<string, string | null>>): Record<string, string> {
  const entries = Object.entries(tokens).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(entries.map(([kind, token]) => [`${kind}_token`, token]));
}

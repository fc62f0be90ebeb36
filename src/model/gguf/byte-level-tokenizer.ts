import type { Vocabulary } from './tokenizer-of-metadata.ts';

/** How a byte-level BPE tokenizer cuts a text into words before it merges. */
interface Splitting {
  /** A regular expression; null: that of GPT-2, which ByteLevel has built in. */
  readonly pattern: string | null;
  /** Every digit is a word of its own, before anything else is cut. */
  readonly digits: boolean;
  readonly nfc: boolean;
  /** A word that is a token is that token, whatever the merges say. */
  readonly wholeWords: boolean;
  /** Whether a text opens with BOS unless the metadata says otherwise. */
  readonly opens: boolean;
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const tail = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const upper = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const lower = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';

const gpt2: Splitting = { pattern: null, digits: false, nfc: false, wholeWords: false, opens: false };
const llama3: Splitting = {
  pattern: `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${tail}`,
  digits: false,
  nfc: false,
  wholeWords: true,
  opens: true,
};
const qwen2: Splitting = {
  pattern: `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${tail}`,
  digits: false,
  nfc: true,
  wholeWords: false,
  opens: false,
};
const tekken: Splitting = {
  pattern: `[^\\r\\n\\p{L}\\p{N}]?[${upper}]*[${lower}]+|[^\\r\\n\\p{L}\\p{N}]?[${upper}]+[${lower}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  digits: false,
  nfc: false,
  wholeWords: true,
  opens: true,
};
const smollm: Splitting = { ...gpt2, digits: true };

/** By the names of `tokenizer.ggml.pre`. A word cut elsewhere gives other tokens, so an unknown name is not guessed at. */
const splittings: Readonly<Record<string, Splitting>> = {
  default: gpt2,
  'gpt-2': gpt2,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
  tekken,
  smollm,
};

/** The parts of tokenizer.json that byte-level BPE needs; or why there are none. */
export function byteLevelModel(
  { vocab, unknown }: Vocabulary,
  merges: readonly string[],
  kind: string,
): { readonly parts: Record<string, unknown>; readonly opens: boolean } | { readonly problem: string } {
  if (!Object.hasOwn(splittings, kind)) {
    return {
      problem: `The file's tokenizer cuts words by the rule "${kind.slice(0, 100)}"; known are ${Object.keys(splittings).join(', ')}`,
    };
  }
  const { pattern, digits, nfc, wholeWords, opens } = splittings[kind];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: pattern === null };
  const before = [
    ...(digits ? [{ type: 'Digits', individual_digits: true }] : []),
    ...(pattern === null ? [] : [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }]),
  ];
  return {
    opens,
    parts: {
      normalizer: nfc ? { type: 'NFC' } : null,
      pre_tokenizer: before.length === 0 ? byteLevel : { type: 'Sequence', pretokenizers: [...before, byteLevel] },
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: unknown,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: wholeWords,
        vocab,
        merges: merges.map((merge) => {
          // Both parts are at least one character, so a first character that is a space belongs to the left one.
          const cut = merge.indexOf(' ', 1);
          return cut < 0 ? [merge, ''] : [merge.slice(0, cut), merge.slice(cut + 1)];
        }),
      },
    },
  };
}

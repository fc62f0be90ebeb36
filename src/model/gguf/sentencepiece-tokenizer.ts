import type { Vocabulary } from './tokenizer-of-metadata.ts';

/**
 * The merges of a SentencePiece BPE vocabulary, which stores none: every way to put a token together from two others, the better
 * score of the whole first. Ties stay in the order of the ids of the whole, then of its parts, as converters to tokenizer.json have it.
 */
export function mergesOfScores(
  tokens: readonly string[],
  vocab: Readonly<Record<string, number>>,
  scores: readonly number[],
): [string, string][] {
  const ids = new Map(Object.entries(vocab));
  const merges: { readonly score: number; readonly pair: [string, string] }[] = [];
  tokens.forEach((token, id) => {
    const ways: { readonly left: number; readonly right: number; readonly pair: [string, string] }[] = [];
    for (let cut = 1; cut < token.length; cut++) {
      const left = ids.get(token.slice(0, cut));
      if (left === undefined) continue;
      const right = ids.get(token.slice(cut));
      if (right !== undefined) ways.push({ left, right, pair: [token.slice(0, cut), token.slice(cut)] });
    }
    ways.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { pair } of ways) merges.push({ score: scores[id], pair });
  });
  return merges.sort((a, b) => b.score - a.score).map(({ pair }) => pair);
}

/** The parts of tokenizer.json that SentencePiece BPE needs: spaces are U+2581, bytes without a token are spelt `<0xAB>`. */
export function sentencePieceModel({ vocab, unknown }: Vocabulary, merges: [string, string][], prefix: boolean): Record<string, unknown> {
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' };
  const back = { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  return {
    normalizer: prefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '\u2581' }, space] } : space,
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders: [back, { type: 'ByteFallback' }, { type: 'Fuse' }, ...(prefix ? [strip] : [])] },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges,
    },
  };
}

/** Text of tokens that come one at a time. */
export interface DecodeStream {
  /** Text that this token completes; empty while a character is still in pieces. */
  push(id: number): string;
  /** What is left at the end, broken characters included. */
  flush(): string;
}

/** A UTF-8 character has at most four bytes: a longer wait for its end is in vain. */
const LONGEST_WAIT = 4;

/**
 * Streams `decode` without its memory of everything before: each time the last finished tokens and the new ones are decoded
 * together, and what is new in the text is handed out. The finished tokens keep decoders that look at the first token (leading
 * space) from taking a token in the middle for one.
 * @param context tokens before the first one pushed, so that a continuation keeps its leading space
 */
export function createDecodeStream(decode: (ids: readonly number[]) => string, context: readonly number[] = []): DecodeStream {
  let finished: number[] = context.slice(-LONGEST_WAIT);
  let pending: number[] = [];
  const emit = (text: string): string => {
    if (pending.length > 0) finished = [...finished, ...pending].slice(-LONGEST_WAIT);
    pending = [];
    return text;
  };
  const added = (): string => {
    const before = decode(finished);
    const now = decode([...finished, ...pending]);
    return now.startsWith(before) ? now.slice(before.length) : decode(pending);
  };
  return {
    push(id) {
      pending.push(id);
      const text = added();
      if (text.endsWith('\uFFFD') && pending.length < LONGEST_WAIT) return '';
      return emit(text);
    },
    flush: () => (pending.length === 0 ? '' : emit(added())),
  };
}

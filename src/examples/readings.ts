import { TillerError } from '../errors/error.ts';
import type { Role } from '../graph/document.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { ExampleSet } from './example.ts';
import type { Reading, TokenRule } from './reading.ts';
import { textsOf, type ExampleText } from './texts.ts';
import { spanFrom } from './token-spans.ts';

export interface ReadingOptions {
  readonly template: 'none' | 'chat';
  readonly token: TokenRule;
  /** Tokens that a text may have: the model's context. */
  readonly maxTokens: number;
  /**
   * What happens to longer texts: `left` takes tokens away after the control tokens at the beginning, `right` at the end, `drop` leaves
   * the text out. @default 'left'
   */
  readonly cut?: 'left' | 'right' | 'drop';
  /** Answers of a question: all of them, or the best right one against the first wrong one. @default 'all' */
  readonly answers?: 'all' | 'one';
}

/** A text that became no reading, or a shorter one. */
export interface ReadingNote {
  readonly example: number;
  /** Line of the source. */
  readonly line: number;
  readonly label: 0 | 1;
  readonly problem: string;
}

export interface ReadingSet {
  readonly readings: readonly Reading[];
  /** Texts that are left out. */
  readonly dropped: readonly ReadingNote[];
  /** Texts that were cut to the context and are read all the same. */
  readonly cut: readonly ReadingNote[];
}

/** Tokens of a text with the part that is the answer, or the text itself where there is no answer. */
export interface TokenisedText {
  readonly ids: readonly number[];
  readonly roles: readonly (Role | null)[];
  readonly promptLength: number;
  /** Positions [start, end) of the answer. */
  readonly start: number;
  readonly end: number;
}

/**
 * The texts of a set as the model reads them. Without a template a question is `Q: {question} A: {answer}`; with the model's chat
 * template the prompt is the user's turn and the answer the assistant's, and a text without a prompt is the user's turn, followed by
 * the opening of the assistant's. A pair of which one text is left out is no pair any more.
 * @throws examples/options where no text can be read so; model/tokenizer without a chat template
 */
export function readingsOf(set: ExampleSet, tokenizer: Tokenizer, options: ReadingOptions): ReadingSet {
  checkOptions(options);
  const readings: Reading[] = [];
  const dropped: ReadingNote[] = [];
  const cut: ReadingNote[] = [];
  for (const text of textsOf(set, options)) {
    const row = set.rows[text.example];
    const note = (problem: string): ReadingNote => ({ example: text.example, line: row.line, label: text.label, problem });
    const whole = tokenise(text, tokenizer, options.template);
    if (typeof whole === 'string') {
      dropped.push(note(whole));
      continue;
    }
    const kept = whole.ids.length > options.maxTokens ? shorten(whole, tokenizer, options) : whole;
    if (kept === null) {
      dropped.push(note(`the text has ${whole.ids.length} tokens, the context ${options.maxTokens}`));
      continue;
    }
    const position = readPosition(kept, options.token);
    if (position < 0 || position >= kept.ids.length) {
      dropped.push(note(kept === whole ? `the text has only ${kept.ids.length} tokens` : 'the token to be read was cut away'));
      continue;
    }
    if (kept !== whole) cut.push(note(`${whole.ids.length - kept.ids.length} of ${whole.ids.length} tokens were cut`));
    const { ids, roles, promptLength } = kept;
    readings.push({ example: text.example, label: text.label, group: row.group, pair: text.pair, ids, roles, promptLength, position });
  }
  if (readings.length === 0) {
    const why = dropped.length > 0 ? `; the first: ${dropped[0].problem}` : '';
    throw new TillerError('examples/options', { problem: `none of the ${dropped.length} texts can be read${why}` });
  }
  return { readings: withoutHalfPairs(readings), dropped, cut };
}

function checkOptions({ token, maxTokens }: ReadingOptions): void {
  const fail = (problem: string): never => {
    throw new TillerError('examples/options', { problem });
  };
  if (!Number.isInteger(maxTokens) || maxTokens < 1) fail(`maxTokens must be a whole number of at least 1, got ${String(maxTokens)}`);
  if (typeof token === 'object') {
    const { offset } = token;
    if (!Number.isInteger(offset) || offset >= 0)
      fail(`the token's offset is counted from the end: -1 is the last, and ${String(offset)} is not a whole number below 0`);
  } else if (!['last', 'answer-last', 'answer-first'].includes(token)) fail(`there is no token rule "${String(token)}"`);
}

/** Position of the token that a rule reads; outside of the text where it has too few tokens. */
function readPosition(text: TokenisedText, rule: TokenRule): number {
  if (rule === 'last') return text.ids.length - 1;
  if (rule === 'answer-first') return text.start;
  if (rule === 'answer-last') return text.end - 1;
  return text.ids.length + rule.offset;
}

/** Tokens of one text, or why there are none. */
function tokenise(text: ExampleText, tokenizer: Tokenizer, template: 'none' | 'chat'): TokenisedText | string {
  if (template === 'chat') return tokeniseChat(text, tokenizer);
  const whole = text.before + (text.answer ?? '');
  const ids = tokenizer.encode(whole);
  if (ids.length === 0) return 'the text has no tokens';
  const span = spanFrom(tokenizer, whole, ids, text.answer === null ? 0 : text.before.length);
  if (span === null) return 'the tokenizer changes the text, so that the answer cannot be found among its tokens';
  const promptLength = text.answer === null ? ids.length : span.start;
  if (promptLength === 0) return 'nothing stands before the answer';
  return { ids, roles: ids.map(() => null), promptLength, start: span.start, end: span.end };
}

function tokeniseChat({ before, answer }: ExampleText, tokenizer: Tokenizer): TokenisedText | string {
  const user = { role: 'user', content: before } as const;
  const { ids, roles } =
    answer === null
      ? tokenizer.chat([user], { addGenerationPrompt: true })
      : tokenizer.chat([user, { role: 'assistant', content: answer }], { addGenerationPrompt: false });
  const role: Role = answer === null ? 'user' : 'assistant';
  const start = roles.indexOf(role);
  if (start < 0) return 'the chat template changes the text, so that it cannot be found among its tokens';
  const end = roles.lastIndexOf(role) + 1;
  return { ids, roles, promptLength: answer === null ? ids.length : start, start, end };
}

/** A text cut to the context; null where it is to be left out or nothing of the answer stays. */
function shorten(text: TokenisedText, tokenizer: Tokenizer, options: ReadingOptions): TokenisedText | null {
  const { maxTokens, cut = 'left' } = options;
  if (cut === 'drop') return null;
  const excess = text.ids.length - maxTokens;
  if (cut === 'right') {
    const end = Math.min(text.end, maxTokens);
    if (end <= text.start) return null;
    const [ids, roles] = [text.ids.slice(0, maxTokens), text.roles.slice(0, maxTokens)];
    return { ids, roles, promptLength: Math.min(text.promptLength, maxTokens), start: text.start, end };
  }
  let head = 0;
  while (head < maxTokens - 1 && tokenizer.isControl(text.ids[head])) head++;
  const without = <T>(values: readonly T[]): T[] => [...values.slice(0, head), ...values.slice(head + excess)];
  const moved = (position: number): number => (position <= head ? position : Math.max(head, position - excess));
  const [start, end] = [moved(text.start), moved(text.end)];
  const promptLength = moved(text.promptLength);
  // A cut prompt that is no longer there would make the answer begin the text.
  if (end <= start || promptLength < 1) return null;
  return { ids: without(text.ids), roles: without(text.roles), promptLength, start, end };
}

/** Readings whose partner was left out are in no pair. */
function withoutHalfPairs(readings: readonly Reading[]): Reading[] {
  const count = new Map<number, number>();
  for (const { pair } of readings) count.set(pair, (count.get(pair) ?? 0) + 1);
  return readings.map((reading) => (reading.pair >= 0 && count.get(reading.pair) !== 2 ? { ...reading, pair: -1 } : reading));
}

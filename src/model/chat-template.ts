import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { TillerError } from '../errors/error.ts';
import { isRecord } from '../formats/json.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatOptions {
  /** Whether the text ends where the assistant begins to speak. @default true */
  readonly addGenerationPrompt?: boolean;
}

/** A text between two places of a rendered chat, and the role of the message it is the content of. */
export interface ContentSpan {
  readonly role: ChatMessage['role'];
  readonly start: number;
  readonly end: number;
}

export interface RenderedChat {
  readonly text: string;
  /** Contents in the order of the text; null where the template changes contents so that they cannot be told apart from it. */
  readonly spans: readonly ContentSpan[] | null;
}

export interface ChatTemplate {
  /** @throws model/tokenizer with the template's own words, where it refuses the messages */
  render(messages: readonly ChatMessage[], options?: ChatOptions): RenderedChat;
}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count > 100_000) throw new Error('range is too long');
  return Array.from({ length: count }, (_, i) => from + i * step);
}

/**
 * A Jinja chat template. It sees no clock: templates that would write today's date write the fixed one they fall back to, so that
 * the same messages give the same tokens on every day.
 * @param tokens bos_token, eos_token and the like, as the template names them
 */
export function createChatTemplate(source: string, tokens: Readonly<Record<string, string>>): ChatTemplate {
  const fail = (cause: unknown): TillerError => {
    const problem = cause instanceof Error ? cause.message : String(cause);
    return new TillerError('model/tokenizer', { problem: `its chat template says: ${problem}` }, { cause });
  };
  let program: ReturnType<typeof parse>;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw fail(cause);
  }

  const run = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string => {
    const environment = new Environment();
    const globals: Record<string, unknown> = {
      ...tokens,
      false: false, true: true, none: null, False: false, True: true, None: null,
      range,
      raise_exception: (message: string) => {
        throw new Error(message);
      },
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      tools: null,
      documents: null,
    }; // prettier-ignore
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    try {
      const result: unknown = new Interpreter(environment).run(program);
      if (!isRecord(result) || typeof result.value !== 'string') throw new Error('it gives no text');
      return result.value;
    } catch (cause) {
      throw fail(cause);
    }
  };

  return {
    render(messages, options = {}) {
      const addGenerationPrompt = options.addGenerationPrompt ?? true;
      const text = run(messages, addGenerationPrompt);
      return { text, spans: findSpans(messages, text, (marked) => run(marked, addGenerationPrompt)) };
    },
  };
}

/**
 * Finds the contents in the rendered text: the template is rendered once more with a mark in place of every content, which gives the
 * literal text between contents; the real text must be those literals with the contents (whole, or trimmed as many templates
 * do) between them. Where it is not, the template does more with contents than placing them, and null is the honest answer.
 */
function findSpans(messages: readonly ChatMessage[], text: string, render: (marked: ChatMessage[]) => string): ContentSpan[] | null {
  const mark = unusedMark(text);
  let marked: string;
  try {
    marked = render(messages.map(({ role }, i) => ({ role, content: `${mark}${i}z` })));
  } catch {
    return null;
  }
  const spans: ContentSpan[] = [];
  const pattern = new RegExp(`${mark}(\\d+)z`, 'g');
  let at = 0;
  let literalFrom = 0;
  for (const match of marked.matchAll(pattern)) {
    const message = messages[Number(match[1])];
    const literal = marked.slice(literalFrom, match.index);
    if (!text.startsWith(literal, at)) return null;
    at += literal.length;
    literalFrom = match.index + match[0].length;
    const rest = marked.slice(literalFrom);
    const next = rest.search(pattern);
    const after = next < 0 ? rest : rest.slice(0, next);
    const content = [message.content, message.content.trim(), message.content.trimEnd(), message.content.trimStart()].find(
      (form) => text.startsWith(form, at) && text.startsWith(after, at + form.length),
    );
    if (content === undefined) return null;
    spans.push({ role: message.role, start: at, end: at + content.length });
    at += content.length;
  }
  return text.slice(at) === marked.slice(literalFrom) ? spans : null;
}

/** A word that does not occur in the text and that templates leave alone. */
function unusedMark(text: string): string {
  let mark = 'Zq';
  while (text.includes(mark)) mark += 'xq';
  return mark;
}

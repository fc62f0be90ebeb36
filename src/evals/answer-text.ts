import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import { spanFrom } from '../examples/token-spans.ts';
import type { ChatMessage } from '../model/chat-template.ts';
import type { Tokenizer } from '../model/tokenizer.ts';

/** What stands before an answer: as running text, and as what a user says where the model's chat template is used. */
export interface Asked {
  readonly plain: string;
  readonly chat: string;
}

/**
 * A prompt and its answer as tokens; promptLength is the position of the first token that reaches into the answer's characters, and
 * the last token is the answer's last. The white space that joins an answer to its prompt counts as the answer's: some answers share a
 * token with it and others do not, and only so are all of them scored on the same characters after the same prompt.
 * @param answer with that white space
 * @throws eval/answer
 */
export type AnswerEncoder = (asked: Asked, answer: string) => SequenceInput;

export interface AnswerEncoderOptions {
  readonly template: 'none' | 'chat';
  /** An instruction in front of everything: the system's turn of a chat, else a paragraph of its own. @default none */
  readonly preamble?: string;
}

/** @throws model/tokenizer where the template is asked for and there is none */
export function answerEncoder(tokenizer: Tokenizer, { template, preamble = '' }: AnswerEncoderOptions): AnswerEncoder {
  const fail = (answer: string): never => {
    throw new TillerError('eval/answer', { answer: JSON.stringify(answer.slice(0, 80)) });
  };
  if (template === 'chat') {
    return ({ chat }, answer) => {
      const messages: ChatMessage[] = [
        { role: 'user', content: chat },
        { role: 'assistant', content: answer.trim() },
      ];
      if (preamble !== '') messages.unshift({ role: 'system', content: preamble });
      const { ids, roles } = tokenizer.chat(messages, { addGenerationPrompt: false });
      const promptLength = roles.indexOf('assistant');
      if (promptLength < 1) return fail(answer);
      const end = roles.lastIndexOf('assistant') + 1;
      return { ids: ids.slice(0, end), roles: roles.slice(0, end), promptLength };
    };
  }
  const front = preamble === '' ? '' : `${preamble}\n\n`;
  return ({ plain }, answer) => {
    if (answer.trim() === '') return fail(answer);
    const before = `${front}${plain}`;
    const text = `${before}${answer.trimEnd()}`;
    const ids = tokenizer.encode(text);
    const span = spanFrom(tokenizer, text, ids, before.length);
    if (span === null || span.start < 1 || span.end <= span.start) return fail(answer);
    return { ids: ids.slice(0, span.end), promptLength: span.start };
  };
}

/** The same words however the model is spoken to. */
export const askedPlainly = (text: string): Asked => ({ plain: text, chat: text });

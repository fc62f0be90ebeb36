import type { Role } from '../graph/document.ts';

/**
 * Which token of a text is read: the last one, the last of the answer (a chat template may put tokens after it), the first of the answer,
 * or one counted from the end of the text (-1 is the last).
 */
export type TokenRule = 'last' | 'answer-last' | 'answer-first' | { readonly offset: number };

/** One text as the model reads it, with the token whose activations stand for it. */
export interface Reading {
  /** Index of the row in the example set. */
  readonly example: number;
  /** 1 is the wanted class. */
  readonly label: 0 | 1;
  /** Split unit, see Example.group. */
  readonly group: string;
  /** Readings with the same number, one of each label, are a pair; -1 where there are none. */
  readonly pair: number;
  readonly ids: readonly number[];
  readonly roles: readonly (Role | null)[];
  /** Tokens before the answer; the whole text where nothing is an answer. */
  readonly promptLength: number;
  /** Position of the token that is read. */
  readonly position: number;
}

export type Part = 'train' | 'validation' | 'test';

import { TillerError } from '../errors/error.ts';
import type { SequenceInput } from '../engine/engine.ts';
import { generalTexts } from './neutral-general.ts';
import { storyTexts } from './neutral-stories.ts';
import { unitKey } from './unit-store.ts';

/** Texts that ship with the lab, by what models they are for. */
export const neutralSets = {
  general: { title: 'Plain prose on many subjects', texts: generalTexts },
  stories: { title: 'Simple stories, for models that know nothing else', texts: storyTexts },
} as const;
export type NeutralSet = keyof typeof neutralSets;

/** Documents that damage is measured on. */
export interface NeutralTexts {
  readonly sequences: readonly SequenceInput[];
  /** Tokens of all documents, as cut. */
  readonly tokens: number;
  /** Documents that were longer than the limit. */
  readonly cut: number;
  readonly limit: number;
  /** Hex SHA-256 of the token ids: the documents' name in receipts. */
  readonly sha256: string;
  /** Sentences on what was cut and left out. */
  readonly notes: readonly string[];
}

/**
 * Documents as token ids, cut to the same number of tokens from the left end on. The first token is the prompt, so that edits at the
 * positions `generated` and `answer` act on all the rest, as they do on a text that the model writes.
 * @param encode text to ids, with the tokens that open every text
 * @param limit tokens a document, at most the model's context
 * @throws eval/units where no document has two tokens, eval/setting
 */
export function neutralTexts(texts: readonly string[], encode: (text: string) => number[], limit = 128): NeutralTexts {
  if (!Number.isInteger(limit) || limit < 2) {
    throw new TillerError('eval/setting', { problem: `documents cannot be cut to ${limit} tokens; at least 2 are needed` });
  }
  let cut = 0;
  let short = 0;
  const sequences: SequenceInput[] = [];
  for (const text of texts) {
    const ids = encode(text);
    if (ids.length < 2) {
      short += 1;
      continue;
    }
    if (ids.length > limit) cut += 1;
    sequences.push({ ids: ids.slice(0, limit), promptLength: 1 });
  }
  if (sequences.length === 0) throw new TillerError('eval/units', { what: 'neutral text of at least two tokens' });
  const tokens = sequences.reduce((total, { ids }) => total + ids.length, 0);
  const notes = [`Damage is measured on ${sequences.length} neutral documents, ${tokens} tokens in all.`];
  if (cut > 0) notes.push(`${cut} of them are cut to ${limit} tokens.`);
  if (short > 0) notes.push(`${short} documents of fewer than two tokens are left out.`);
  notes.push(
    'On neutral documents everything after the first token counts as generated: edits at `generated` and `answer` act there, edits at `last` on the first token alone.',
  );
  return { sequences, tokens, cut, limit, sha256: unitKey(sequences.map(({ ids }) => [...ids])), notes };
}

/**
 * A person's own documents: one a line, or JSON lines that are texts or objects with `text`.
 * @throws eval/units where there are none; eval/setting with the line that is not understood
 */
export function readNeutralTexts(source: string): string[] {
  const out: string[] = [];
  source.split(/\r?\n/).forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '') return;
    const jsonLike = trimmed.startsWith('{') || (trimmed.startsWith('"') && trimmed.endsWith('"'));
    const text = jsonLike ? jsonText(trimmed) : trimmed;
    if (text === null)
      throw new TillerError('eval/setting', {
        problem: `line ${index + 1} of the neutral texts is neither a text nor an object with "text"`,
      });
    if (text.trim() !== '') out.push(text);
  });
  if (out.length === 0) throw new TillerError('eval/units', { what: 'neutral text' });
  return out;
}

function jsonText(line: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(line) as unknown;
  } catch {
    // A line of prose may begin with a quotation mark.
    return line.startsWith('{') ? null : line;
  }
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || !('text' in value)) return null;
  return typeof value.text === 'string' ? value.text : null;
}

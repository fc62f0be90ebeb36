import { TillerError } from '../errors/error.ts';
import type { Role } from '../graph/document.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { ExampleSet } from './example.ts';
import type { Part, Reading } from './reading.ts';
import type { ReadingNote, ReadingOptions, ReadingSet } from './readings.ts';
import { questionText } from './texts.ts';

/**
 * ITI's texts for the spread of activations (Li et al., 2023): `Q: {question} A: {answer} Q: {random question}`, read at the last token,
 * which look more like what the model sees while it answers. One question is drawn for each question and shared by all its answers, from
 * the same part, so that nothing of the test part reaches the others. Rows of the test part give no texts.
 * @param parts part of every row of the set
 * @param random uniform numbers in [0, 1), seeded
 * @throws examples/options where the examples are no questions
 */
export function spreadReadingsOf(
  set: ExampleSet,
  parts: readonly Part[],
  tokenizer: Tokenizer,
  options: Pick<ReadingOptions, 'template' | 'maxTokens'>,
  random: () => number,
): ReadingSet {
  const readings: Reading[] = [];
  const dropped: ReadingNote[] = [];
  const byPart = new Map<Part, number[]>();
  set.rows.forEach((row, i) => {
    if (row.kind !== 'questions')
      throw new TillerError('examples/options', { problem: 'texts with a following question need questions with answers' });
    byPart.set(parts[i], [...(byPart.get(parts[i]) ?? []), i]);
  });
  for (const [example, row] of set.rows.entries()) {
    if (row.kind !== 'questions' || parts[example] === 'test') continue;
    const pool = byPart.get(parts[example])!;
    const other = set.rows[pool[Math.floor(random() * pool.length)]];
    const next = other.kind === 'questions' ? other.question : '';
    for (const [label, answers] of [[1, row.right], [0, row.wrong]] as const) {
      for (const answer of answers) {
        const { ids, roles } = tokens(row.question, answer, next);
        if (ids.length > options.maxTokens || ids.length === 0) {
          dropped.push({ example, line: row.line, label, problem: `the text has ${ids.length} tokens, the context ${options.maxTokens}` });
          continue;
        }
        const [promptLength, position] = [ids.length, ids.length - 1];
        readings.push({ example, label, group: row.group, pair: -1, ids, roles, promptLength, position });
      }
    }
  } // prettier-ignore
  return { readings, dropped, cut: [] };

  function tokens(question: string, answer: string, next: string): { ids: number[]; roles: (Role | null)[] } {
    if (options.template === 'chat') {
      const messages = [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
        { role: 'user', content: next },
      ] as const;
      return tokenizer.chat(messages, { addGenerationPrompt: false });
    }
    const ids = tokenizer.encode(`${questionText(question)}${answer.trim()} Q: ${next.trim()}`);
    return { ids, roles: ids.map(() => null) };
  }
}

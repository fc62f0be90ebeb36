import type { ExampleKind } from './example.ts';
import { groupKey } from './group.ts';
import { listValue, optionalText, RowError, targetsValue, textValue } from './values.ts';

/** What a row becomes before it has its line: labels are still as written, and a group may be missing. */
export type Draft =
  | { readonly kind: 'labelled'; readonly text: string; readonly raw: string; readonly group?: string }
  | { readonly kind: 'pairs'; readonly prompt: string; readonly positive: string; readonly negative: string; readonly group?: string }
  | { readonly kind: 'continuations'; readonly prompt: string; readonly wanted: string; readonly unwanted: string; readonly group?: string }
  | { readonly kind: 'choices'; readonly question: string; readonly matching: string; readonly notMatching: string; readonly group?: string }
  | { readonly kind: 'questions'; readonly question: string; readonly best: string; readonly right: readonly string[]; readonly wrong: readonly string[]; readonly group?: string }; // prettier-ignore

/** Reads a row's values by the role of their column. */
export interface RowReader {
  text(role: string): string;
  optional(role: string): string;
  list(role: string): string[];
  value(role: string): unknown;
  has(role: string): boolean;
}

export interface ExampleForm {
  readonly name: string;
  readonly kind: ExampleKind;
  /** For documentation and pages: one sentence. */
  readonly what: string;
  /** By role, names of columns that mean it, as `columnKey` writes them; `optional` roles may be absent. */
  readonly columns: Readonly<Record<string, readonly string[]>>;
  readonly optional: readonly string[];
  read(row: RowReader): Draft;
}

/** Column names are compared without case, spaces and punctuation. */
export const columnKey = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');

const groupNames = ['group', 'groupid', 'pairid', 'questionid', 'qid', 'topic'];

const unequal = (first: string, second: string): void => {
  if (groupKey(first) === groupKey(second)) throw new RowError('both sides are the same text');
};

/** Answers checked against each other; the best one is among the right ones, first. */
function questionDraft(question: string, best: string | null, right: readonly string[], wrong: readonly string[], group: string): Draft {
  if (right.length === 0) throw new RowError('the question has no right answer');
  if (wrong.length === 0) throw new RowError('the question has no wrong answer');
  const first = best ?? right[0];
  const all = [...new Set([first, ...right])];
  const both = wrong.find((answer) => all.includes(answer));
  if (both !== undefined) throw new RowError(`"${both.slice(0, 60)}" is both a right and a wrong answer`);
  return { kind: 'questions', question, best: first, right: all, wrong: [...new Set(wrong)], ...(group && { group }) };
}

/** An answer as TruthfulQA's own evaluation writes it: trimmed, with a period at its end. */
const closed = (answer: string): string => (answer.endsWith('.') ? answer : `${answer}.`);

/**
 * Every form of example, most particular first: a file is of the first form whose columns are all there. Columns beyond those named
 * are not looked at.
 */
export const exampleForms: readonly ExampleForm[] = [
  {
    name: 'model-written evaluation',
    kind: 'choices',
    what: 'A question whose answer is a letter or a word, matching a behaviour or not.',
    columns: {
      question: ['question', 'prompt'],
      matching: ['answermatchingbehavior', 'answermatchingbehaviour', 'matching'],
      notMatching: ['answernotmatchingbehavior', 'answernotmatchingbehaviour', 'notmatching'],
      statement: ['statement'],
      group: groupNames,
    },
    optional: ['statement', 'group'],
    read(row) {
      const [question, matching, notMatching] = [row.text('question'), row.text('matching'), row.text('notMatching')];
      unequal(matching, notMatching);
      const group = row.optional('group') || row.optional('statement');
      return { kind: 'choices', question, matching, notMatching, ...(group && { group }) };
    },
  },
  {
    name: 'TruthfulQA with targets',
    kind: 'questions',
    what: 'A question with answers marked 1 (right) and 0 (wrong): mc_task.json of TruthfulQA, or its Parquet release.',
    columns: { question: ['question'], mc1: ['mc1targets'], mc2: ['mc2targets'], group: groupNames },
    optional: ['mc1', 'group'],
    read(row) {
      const best = row.has('mc1') ? targetsValue(row.value('mc1'), 'mc1_targets').right[0] : undefined;
      const { right, wrong } = targetsValue(row.value('mc2'), 'mc2_targets');
      return questionDraft(row.text('question'), best ?? null, right, wrong, row.optional('group'));
    },
  },
  {
    name: 'TruthfulQA table',
    kind: 'questions',
    what: 'A question with a best answer and right and wrong ones, separated by semicolons; answers are closed with a period.',
    columns: {
      question: ['question'],
      best: ['bestanswer'],
      right: ['correctanswers'],
      wrong: ['incorrectanswers'],
      group: groupNames,
    },
    optional: ['group'],
    read(row) {
      const [right, wrong] = [row.list('right').map(closed), row.list('wrong').map(closed)];
      return questionDraft(row.text('question'), closed(row.text('best').trim()), right, wrong, row.optional('group'));
    },
  },
  {
    name: 'numbered choices',
    kind: 'questions',
    what: 'A question with its options, and the number (from 0) or the letter of the right one.',
    columns: {
      question: ['question'],
      choice0: ['choice0'], choice1: ['choice1'], choice2: ['choice2'], choice3: ['choice3'], choice4: ['choice4'],
      answer: ['answer', 'label', 'answerkey'],
      group: groupNames,
    }, // prettier-ignore
    optional: ['choice2', 'choice3', 'choice4', 'group'],
    read(row) {
      const choices = [0, 1, 2, 3, 4].map((i) => `choice${i}`).filter((role) => row.has(role)).map((role) => row.optional(role).trim()); // prettier-ignore
      return choiceDraft(row, choices);
    },
  },
  {
    name: 'listed choices',
    kind: 'questions',
    what: 'A question with a list of options, and the number (from 0) or the letter of the right one.',
    columns: {
      question: ['question'],
      choices: ['choices', 'options'],
      answer: ['answer', 'label', 'answerkey', 'correct'],
      group: groupNames,
    },
    optional: ['group'],
    read(row) {
      const value = row.value('choices');
      if (!Array.isArray(value)) throw new RowError('"choices" is not a list');
      if (value.length > 26) throw new RowError(`"choices" has ${value.length} options, the limit is 26`);
      return choiceDraft(row, value.map((entry) => optionalText(entry, 'choices').trim())); // prettier-ignore
    },
  },
  {
    name: 'questions',
    kind: 'questions',
    what: 'A question with right and wrong answers: lists in JSON, separated by semicolons in a table.',
    columns: {
      question: ['question', 'prompt'],
      best: ['best', 'bestanswer'],
      right: ['right', 'rightanswers', 'correct', 'correctanswers', 'rightanswer', 'correctanswer', 'answers'],
      wrong: ['wrong', 'wronganswers', 'incorrect', 'incorrectanswers', 'wronganswer', 'incorrectanswer', 'distractors'],
      group: groupNames,
    },
    optional: ['best', 'group'],
    read(row) {
      const best = row.has('best') ? row.optional('best').trim() : '';
      return questionDraft(row.text('question'), best || null, row.list('right'), row.list('wrong'), row.optional('group'));
    },
  },
  {
    name: 'continuations',
    kind: 'continuations',
    what: 'A prompt with a wanted and an unwanted continuation.',
    columns: {
      prompt: ['prompt', 'context', 'question', 'input'],
      wanted: ['wanted', 'chosen', 'wantedcontinuation'],
      unwanted: ['unwanted', 'rejected', 'unwantedcontinuation'],
      group: groupNames,
    },
    optional: ['group'],
    read(row) {
      const [prompt, wanted, unwanted, group] = [row.text('prompt'), row.text('wanted'), row.text('unwanted'), row.optional('group')];
      unequal(wanted, unwanted);
      return { kind: 'continuations', prompt, wanted, unwanted, ...(group && { group }) };
    },
  },
  {
    name: 'pairs',
    kind: 'pairs',
    what: 'Two texts that differ in what matters, after a common prompt if there is one.',
    columns: {
      prompt: ['prompt', 'context', 'instruction'],
      positive: ['positive', 'pos', 'wanted', 'chosen', 'good', 'true'],
      negative: ['negative', 'neg', 'unwanted', 'rejected', 'bad', 'false'],
      group: groupNames,
    },
    optional: ['prompt', 'group'],
    read(row) {
      const [prompt, positive, negative] = [row.optional('prompt'), row.text('positive'), row.text('negative')];
      unequal(positive, negative);
      const group = row.optional('group');
      return { kind: 'pairs', prompt, positive, negative, ...(group && { group }) };
    },
  },
  {
    name: 'labelled texts',
    kind: 'labelled',
    what: 'A text and its class.',
    columns: {
      text: ['text', 'sentence', 'statement', 'content', 'review', 'instruction', 'prompt', 'input', 'document', 'tweet', 'comment'],
      label: ['label', 'labels', 'class', 'target', 'sentiment', 'category', 'gold', 'style', 'tense', 'answer', 'y'],
      group: groupNames,
    },
    optional: ['group'],
    read(row) {
      const raw = row.optional('label').trim();
      if (raw === '') throw new RowError('the label is missing');
      if (raw.length > 200) throw new RowError('the label has more than 200 characters');
      const group = row.optional('group');
      return { kind: 'labelled', text: row.text('text'), raw, ...(group && { group }) };
    },
  },
];

function choiceDraft(row: RowReader, choices: readonly string[]): Draft {
  const answer = textValue(row.value('answer'), 'answer').trim();
  const letter = /^\(?([A-Z])\)?$/i.exec(answer);
  const index = letter ? letter[1].toUpperCase().charCodeAt(0) - 65 : /^\d{1,2}$/.test(answer) ? Number(answer) : choices.indexOf(answer);
  const best = choices[index];
  if (best === undefined) throw new RowError(`the answer "${answer.slice(0, 40)}" is none of the ${choices.length} options`);
  if (best === '') throw new RowError('the right option is empty');
  const wrong = choices.filter((choice, i) => i !== index && choice !== '');
  return questionDraft(row.text('question'), best, [best], wrong, row.optional('group'));
}

/** The reader of one row: `columns` says which column has which role. */
export function rowReader(fields: Readonly<Record<string, unknown>>, columns: Readonly<Record<string, string>>): RowReader {
  const value = (role: string): unknown => {
    const column = Object.hasOwn(columns, role) ? columns[role] : undefined;
    return column !== undefined && Object.hasOwn(fields, column) ? fields[column] : undefined;
  };
  const name = (role: string): string => columns[role] ?? role;
  return {
    value,
    has: (role) => value(role) !== undefined && value(role) !== null && value(role) !== '',
    text: (role) => textValue(value(role), name(role)),
    optional: (role) => optionalText(value(role), name(role)),
    list: (role) => listValue(value(role), name(role)),
  };
}

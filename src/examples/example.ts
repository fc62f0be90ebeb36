/**
 * What people bring: rows of text that say what to steer towards and what away from. Five forms, one table (`kinds.ts`); everything
 * after this folder sees readings (`reading.ts`), never forms.
 */
export type Example = LabelledExample | PairExample | QuestionExample | ChoiceExample | ContinuationExample;
export type ExampleKind = Example['kind'];

interface Row {
  /** Line of the source, counted from 1, the header included: for messages. */
  readonly line: number;
  /**
   * Rows of one group are about one thing (a question, a pair) and never lie on both sides of a split. Compared after Unicode
   * normalisation, folding of case and of white space.
   */
  readonly group: string;
}

/** A text of one of two classes; 1 is the wanted one. */
export interface LabelledExample extends Row {
  readonly kind: 'labelled';
  readonly text: string;
  readonly label: 0 | 1;
}

/** Two texts that differ in what matters, after a common prompt (which may be empty). */
export interface PairExample extends Row {
  readonly kind: 'pairs';
  readonly prompt: string;
  readonly positive: string;
  readonly negative: string;
}

/** A question with right and wrong answers (TruthfulQA's form). `best` is one of `right`. */
export interface QuestionExample extends Row {
  readonly kind: 'questions';
  readonly question: string;
  readonly best: string;
  readonly right: readonly string[];
  readonly wrong: readonly string[];
}

/** A question whose options are letters, as in the model-written evaluations: `matching` is ` (A)` or the like, as stored. */
export interface ChoiceExample extends Row {
  readonly kind: 'choices';
  readonly question: string;
  readonly matching: string;
  readonly notMatching: string;
}

/** A prompt with a wanted and an unwanted continuation. */
export interface ContinuationExample extends Row {
  readonly kind: 'continuations';
  readonly prompt: string;
  readonly wanted: string;
  readonly unwanted: string;
}

/** A row that could not be used; the others are. */
export interface RowProblem {
  readonly line: number;
  readonly problem: string;
  /** The beginning of the row, at most 80 characters. */
  readonly excerpt: string;
}

export interface ExampleSet {
  readonly name: string;
  readonly kind: ExampleKind;
  /** Names of the classes with label 0 and 1. */
  readonly classes: readonly [string, string];
  readonly rows: readonly Example[];
  readonly problems: readonly RowProblem[];
  /** Hex SHA-256 of the canonical JSON of kind, classes and rows (without lines): the data's name in receipts. */
  readonly sha256: string;
}

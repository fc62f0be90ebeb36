/** What a set of examples may be at most. Checked before anything is allocated from it. */
export const exampleLimits = {
  /** Bytes of a source file. */
  bytes: 256 * 2 ** 20,
  /** Rows of a source, bad ones included. */
  rows: 200_000,
  /** UTF-16 code units of one text: a prompt, an answer, a labelled text. */
  text: 100_000,
  /** Answers of one question, right or wrong. */
  answers: 200,
  /** Columns of a table. */
  columns: 1000,
  /** Levels of nesting in JSON. */
  depth: 16,
} as const;

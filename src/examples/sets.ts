import type { ExampleKind } from './example.ts';

/** A set of examples that ships with the lab. The sentences were written for it and are under the licence of the lab. */
export interface ExampleSetRow {
  /** Stable: part of links and commands. */
  readonly name: string;
  readonly title: string;
  /** One sentence: what the wanted class is, and what the other one. */
  readonly what: string;
  /** Path below the root of the page; in the repository, below `public/`. */
  readonly file: string;
  readonly kind: ExampleKind;
  readonly rows: number;
  /** Which models it is written for: `stories` suits the embedded model, whose world is that of small children. */
  readonly suits: 'stories' | 'general';
}

export const exampleSets: readonly ExampleSetRow[] = [
  {
    name: 'story-sentiment',
    title: 'Happy and sad stories',
    what: 'Sentences of children’s stories: happy ones are wanted, sad ones are not.',
    file: 'examples/story-sentiment.csv',
    kind: 'labelled',
    rows: 60,
    suits: 'stories',
  },
  {
    name: 'facts',
    title: 'True and false statements',
    what: 'Pairs about one thing: a true statement is wanted, a false one is not.',
    file: 'examples/facts.csv',
    kind: 'pairs',
    rows: 60,
    suits: 'general',
  },
  {
    name: 'formality',
    title: 'Formal and casual',
    what: 'Pairs that say the same: the formal wording is wanted, the casual one is not.',
    file: 'examples/formality.csv',
    kind: 'pairs',
    rows: 50,
    suits: 'general',
  },
  {
    name: 'politeness',
    title: 'Polite and rude',
    what: 'Things that people say: polite ones are wanted, rude ones are not.',
    file: 'examples/politeness.csv',
    kind: 'labelled',
    rows: 50,
    suits: 'general',
  },
  {
    name: 'tense',
    title: 'Past and present',
    what: 'Pairs of one sentence: the past tense is wanted, the present tense is not.',
    file: 'examples/tense.csv',
    kind: 'pairs',
    rows: 50,
    suits: 'stories',
  },
  {
    name: 'questions',
    title: 'Questions with right and wrong answers',
    what: 'Questions of general knowledge, some of them about common mistakes: right answers are wanted, wrong ones are not.',
    file: 'examples/questions.jsonl',
    kind: 'questions',
    rows: 50,
    suits: 'general',
  },
  {
    name: 'caution',
    title: 'Careful or hasty',
    what: 'Situations with two choices, A and B: the careful one is wanted, the hasty one is not.',
    file: 'examples/caution.jsonl',
    kind: 'choices',
    rows: 50,
    suits: 'general',
  },
];

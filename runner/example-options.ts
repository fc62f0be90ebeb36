import { TillerError } from '../src/errors/error.ts';
import { readExamples, type ReadExamples } from '../src/examples/read-examples.ts';
import type { ExampleKind, ExampleSet } from '../src/examples/example.ts';
import type { JobExamples } from '../src/jobs/job.ts';
import { readBytes } from './files.ts';
import { usage, type OptionName, type Options } from './options.ts';
import type { Output } from './output.ts';

export const exampleOptions = ['data', 'kind', 'column'] as const satisfies readonly OptionName[];
const kinds = ['auto', 'labelled', 'pairs', 'questions', 'choices', 'continuations'] as const satisfies readonly (ExampleKind | 'auto')[];

/** `--data` with `--kind` and `--column`: what was understood and which rows are bad is said. @throws usage, examples/*, file/unreadable */
export async function readExampleOption(options: Options, output: Output): Promise<ReadExamples> {
  const path = options.needed('data');
  const kind = options.choice('kind', kinds, 'auto');
  const columns = Object.fromEntries(
    options.all('column').map((text) => {
      const at = text.indexOf('=');
      if (at < 1 || at === text.length - 1) throw usage(`--column is "${text}", expected FIELD=NAME`);
      return [text.slice(0, at), text.slice(at + 1)] as const;
    }),
  );
  const bytes = await readBytes(path);
  const set = await readExamples(
    { name: path, bytes },
    { ...(kind === 'auto' ? {} : { kind }), ...(Object.keys(columns).length === 0 ? {} : { columns }) },
  );
  const { detected, rows, problems } = set;
  output.note(`${rows.length} examples (${set.kind}) from ${path}, read as ${detected.title}`);
  for (const note of detected.notes) output.note(note);
  for (const { line, problem, excerpt } of problems.slice(0, 5)) output.note(`line ${line} is left out: ${problem} (${excerpt})`);
  if (problems.length > 5) output.note(`${problems.length - 5} more rows are left out`);
  return set;
}

/** @throws examples/options for examples of other kinds */
export function needQuestions(set: Pick<ExampleSet, 'kind' | 'name'>): void {
  if (set.kind !== 'questions') {
    throw new TillerError('examples/options', {
      problem: `${set.name} has examples that are ${set.kind}; questions with right and wrong answers are needed`,
    });
  }
}

/** A set as a job carries it. */
export const jobExamples = ({ name, kind, classes, rows, problems }: ExampleSet): JobExamples => ({ name, kind, classes, rows, problems });

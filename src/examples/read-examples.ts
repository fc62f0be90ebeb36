import { TillerError } from '../errors/error.ts';
import type { Example, ExampleKind, ExampleSet, RowProblem } from './example.ts';
import { candidates, type Candidate, type ExampleFormat, type ExampleSource } from './formats.ts';
import { groupKey } from './group.ts';
import { exampleSetHash } from './identity.ts';
import { columnKey, exampleForms, rowReader, type Draft, type ExampleForm } from './kinds.ts';
import { isLabelWord, labelRule, type LabelOptions, type LabelRule } from './labels.ts';
import type { SourceRow, SourceTable } from './source-row.ts';
import { RowError } from './values.ts';

export interface ReadOptions extends LabelOptions {
  /** @default told from the content and the ending of the name */
  readonly format?: ExampleFormat;
  /** @default told from the columns */
  readonly kind?: ExampleKind;
  /** Which column has which role: `{ text: 'quote', label: 'tone' }`; roles are those of `exampleForms`. */
  readonly columns?: Readonly<Record<string, string>>;
}

/** How a source was understood: to be said to the person who brought it. */
export interface Detected {
  readonly format: ExampleFormat;
  /** The format in words. */
  readonly title: string;
  /** Name of a row of `exampleForms`. */
  readonly form: string;
  /** Column by role. */
  readonly columns: Readonly<Record<string, string>>;
  /** Plain sentences: what the labels mean, what was left out. */
  readonly notes: readonly string[];
}

export interface ReadExamples extends ExampleSet {
  readonly detected: Detected;
}

/** More different values than this are texts and no labels. */
const MOST_LABELS = 20;
const NO_LABELS: LabelRule = { classes: ['unwanted', 'wanted'], label: () => null, notes: [] };
const classesOf: Readonly<Record<ExampleKind, readonly [string, string]>> = {
  labelled: ['unwanted', 'wanted'],
  pairs: ['negative', 'positive'],
  questions: ['wrong', 'right'],
  choices: ['not matching', 'matching'],
  continuations: ['unwanted', 'wanted'],
};

/**
 * Examples from a file or from pasted text. Bad rows are listed in `problems`, with their line; the others are used.
 * @throws examples/file, examples/too-large, examples/form, examples/labels, examples/empty, examples/options
 */
export async function readExamples(source: ExampleSource, options: ReadOptions = {}): Promise<ReadExamples> {
  const { name } = source;
  const found = await understand(source, options);
  const { table, form, columns, candidate } = found;
  const problems: RowProblem[] = [];
  const drafts: { readonly row: SourceRow; readonly draft: Draft }[] = [];
  for (const row of table.rows) {
    if (row.fields === undefined) {
      problems.push({ line: row.line, problem: row.problem ?? 'the row cannot be read', excerpt: row.excerpt });
      continue;
    }
    try {
      drafts.push({ row, draft: form.read(rowReader(row.fields, columns)) });
    } catch (cause) {
      if (!(cause instanceof RowError)) throw cause;
      problems.push({ line: row.line, problem: cause.message, excerpt: row.excerpt });
    }
  }
  if (drafts.length === 0) throw new TillerError('examples/empty', { name, problem: emptyReason(problems) });
  if (form.kind !== 'labelled' && (options.wanted || options.unwanted)) {
    throw new TillerError('examples/options', { problem: `labels were given, and ${name} has ${form.name}, which have none` });
  }
  const raws = drafts.flatMap(({ draft }) => (draft.kind === 'labelled' ? [draft.raw] : []));
  const rule = form.kind === 'labelled' ? labelRule(name, raws, options) : NO_LABELS;
  const shared = sharedPrompt(drafts.map(({ draft }) => draft));
  const rows: Example[] = [];
  for (const { row, draft } of drafts) rows.push(...finished(row, draft, rule, shared, problems));
  problems.sort((a, b) => a.line - b.line);
  if (rows.length === 0) throw new TillerError('examples/empty', { name, problem: emptyReason(problems) });
  const notes = [...rule.notes];
  if (shared !== null) notes.push('One prompt is shared by most rows: rows are kept together by their texts, not by the prompt.');
  const set = { kind: form.kind, classes: form.kind === 'labelled' ? rule.classes : classesOf[form.kind], rows };
  const detected = { format: candidate.format, title: candidate.title, form: form.name, columns, notes };
  return { name, ...set, problems, sha256: exampleSetHash(set), detected };
}

function emptyReason(problems: readonly RowProblem[]): string {
  if (problems.length === 0) return 'there is none';
  const [{ line, problem }] = problems;
  return `all ${problems.length} are bad, the first in line ${line}: ${problem}`;
}

interface Understood {
  readonly candidate: Candidate;
  readonly table: SourceTable;
  readonly form: ExampleForm;
  readonly columns: Readonly<Record<string, string>>;
}

/** The first way to read the source that gives a form of example. */
async function understand(source: ExampleSource, options: ReadOptions): Promise<Understood> {
  const { name } = source;
  const ways = candidates(source, options.format);
  let seen: { readonly candidate: Candidate; readonly table: SourceTable } | null = null;
  let unreadable: TillerError | null = null;
  for (const candidate of ways) {
    let table: SourceTable;
    try {
      table = await candidate.read();
    } catch (cause) {
      if (!(cause instanceof TillerError) || cause.code !== 'examples/file') throw cause;
      unreadable ??= cause;
      continue;
    }
    const match = matchForm(table, options);
    if (match) return { candidate, table, ...match };
    if (table.rows.some((row) => row.fields !== undefined)) seen ??= { candidate, table };
  }
  if (seen) throw new TillerError('examples/form', { name, problem: formProblem(seen, options) });
  if (unreadable) throw unreadable;
  throw new TillerError('examples/empty', { name, problem: 'there is none' });
}

function formProblem({ candidate, table }: { readonly candidate: Candidate; readonly table: SourceTable }, options: ReadOptions): string {
  const columns = table.columns.slice(0, 12).map((column) => `"${column.slice(0, 40)}"`);
  const missing = Object.values(options.columns ?? {}).find((column) => !table.columns.includes(column));
  const read = `read as ${candidate.title}, the columns are ${columns.join(', ')}`;
  if (missing !== undefined) return `there is no column "${missing}"; ${read}`;
  return options.kind ? `they are not those of ${options.kind}; ${read}` : read;
}

function matchForm(table: SourceTable, options: ReadOptions): { form: ExampleForm; columns: Record<string, string> } | null {
  const given = options.columns ?? {};
  const columns = new Map<string, string>();
  for (const column of table.columns) if (!columns.has(columnKey(column))) columns.set(columnKey(column), column);
  if (Object.values(given).some((column) => !table.columns.includes(column))) return null;
  for (const form of exampleForms) {
    if (options.kind !== undefined && form.kind !== options.kind) continue;
    if (Object.keys(given).some((role) => !Object.hasOwn(form.columns, role))) continue;
    const found: Record<string, string> = {};
    const taken = new Set(Object.values(given));
    for (const [role, names] of Object.entries(form.columns)) {
      const free = names.map((key) => columns.get(key)).find((column) => column !== undefined && !taken.has(column));
      const column = Object.hasOwn(given, role) ? given[role] : free;
      if (column === undefined) continue;
      found[role] = column;
      taken.add(column);
    }
    const complete = Object.keys(form.columns).every((role) => Object.hasOwn(found, role) || form.optional.includes(role));
    if (complete) return { form, columns: found };
  }
  return unnamedColumns(table, options);
}

/** Two columns without names: the one with numbers or known words, else with fewer different or shorter values, has the labels. */
function unnamedColumns(table: SourceTable, options: ReadOptions): { form: ExampleForm; columns: Record<string, string> } | null {
  if (table.columns.length !== 2 || options.columns !== undefined || (options.kind ?? 'labelled') !== 'labelled') return null;
  if (!table.columns.every((column, i) => column === `column ${i + 1}`)) return null;
  const rows = table.rows.filter((row) => row.fields !== undefined);
  const cells = table.columns.map((column) => rows.map(({ fields }) => String(fields?.[column]).trim().toLowerCase()));
  const likeness = cells.map((values): readonly number[] => {
    const different = new Set(values).size;
    return [values.every(isLabelWord) ? 0 : 1, different, values.reduce((sum, value) => sum + value.length, 0)];
  });
  const first = likeness[0].map((value, i) => value - likeness[1][i]).find((difference) => difference !== 0) ?? 0;
  const label = first <= 0 ? 0 : 1;
  if (likeness[label][1] > MOST_LABELS) return null;
  const form = exampleForms.find(({ kind }) => kind === 'labelled');
  return form ? { form, columns: { label: table.columns[label], text: table.columns[1 - label] } } : null;
}

/** A prompt that more than half of the rows have: a frame around the examples rather than what they are about. */
function sharedPrompt(drafts: readonly Draft[]): string | null {
  const counts = new Map<string, number>();
  for (const draft of drafts) {
    if (draft.kind !== 'pairs' && draft.kind !== 'continuations') return null;
    const key = groupKey(draft.prompt);
    if (key !== '') counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  for (const [key, count] of counts) if (count > 1 && 2 * count > drafts.length) return key;
  return null;
}

/** The example of a draft, with its group; none, and a problem, where its label belongs to no class. */
function finished(row: SourceRow, draft: Draft, rule: LabelRule, shared: string | null, problems: RowProblem[]): Example[] {
  const { line } = row;
  const own = (fallback: string): string => groupKey(draft.group ?? fallback) || groupKey(fallback);
  switch (draft.kind) {
    case 'labelled': {
      const label = rule.label(draft.raw);
      if (label === null) {
        problems.push({ line, problem: `the label "${draft.raw.slice(0, 40)}" is in neither class`, excerpt: row.excerpt });
        return [];
      }
      return [{ kind: 'labelled', line, group: own(draft.text), text: draft.text, label }];
    }
    case 'pairs': {
      const { prompt, positive, negative } = draft;
      const subject = prompt !== '' && groupKey(prompt) !== shared ? prompt : `${positive}\n${negative}`;
      return [{ kind: 'pairs', line, group: own(subject), prompt, positive, negative }];
    }
    case 'continuations': {
      const { prompt, wanted, unwanted } = draft;
      const subject = groupKey(prompt) === shared ? `${wanted}\n${unwanted}` : prompt;
      return [{ kind: 'continuations', line, group: own(subject), prompt, wanted, unwanted }];
    }
    case 'choices': {
      const { question, matching, notMatching } = draft;
      return [{ kind: 'choices', line, group: own(question), question, matching, notMatching }];
    }
    case 'questions': {
      const { question, best, right, wrong } = draft;
      return [{ kind: 'questions', line, group: own(question), question, best, right, wrong }];
    }
  }
}

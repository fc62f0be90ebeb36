import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import { exampleLimits } from '../examples/limits.ts';
import { describeIssue } from '../graph/invalid.ts';
import { parseGraph } from '../graph/schema.ts';
import { JOB_FORMAT, type JobDocument, type JobSubmission } from './job.ts';

/** What a runner accepts as a job. Strict: an unknown key is an error with its place. Graphs are checked by their own schema. */

/** What one job may be at most; counts, checked before anything is computed. */
export const jobLimits = {
  /** Bytes of a submission, vectors included. */
  bytes: 64 * 2 ** 20,
  strengths: 1000,
  counts: 1000,
  layers: 1000,
  factors: 1000,
  seeds: 1000,
  neutralTexts: 100_000,
  tensors: 4096,
} as const;

const integer = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const finite = v.pipe(v.number(), v.finite());
const text = v.pipe(v.string(), v.maxLength(exampleLimits.text));
const name = v.pipe(v.string(), v.maxLength(500));
const seed = integer(0, 0xffffffff);
const share = v.pipe(v.number(), v.minValue(0.01), v.maxValue(0.9));
const list = <const T extends v.GenericSchema>(item: T, most: number) => v.pipe(v.array(item), v.maxLength(most));
const count = integer(1, Number.MAX_SAFE_INTEGER);

const row = { line: integer(0, Number.MAX_SAFE_INTEGER), group: v.string() };
const answers = list(text, exampleLimits.answers);
const example = v.variant('kind', [
  v.strictObject({ ...row, kind: v.literal('labelled'), text, label: v.picklist([0, 1]) }),
  v.strictObject({ ...row, kind: v.literal('pairs'), prompt: text, positive: text, negative: text }),
  v.strictObject({ ...row, kind: v.literal('questions'), question: text, best: text, right: answers, wrong: answers }),
  v.strictObject({ ...row, kind: v.literal('choices'), question: text, matching: text, notMatching: text }),
  v.strictObject({ ...row, kind: v.literal('continuations'), prompt: text, wanted: text, unwanted: text }),
]);
const examples = v.pipe(
  v.strictObject({
    name,
    kind: v.picklist(['labelled', 'pairs', 'questions', 'choices', 'continuations']),
    classes: v.strictTuple([name, name]),
    rows: v.pipe(v.array(example), v.minLength(1), v.maxLength(exampleLimits.rows)),
    problems: list(v.strictObject({ line: row.line, problem: v.string(), excerpt: v.string() }), exampleLimits.rows),
  }),
  v.check(({ kind, rows }) => rows.every((one) => one.kind === kind), 'rows of another kind than the set'),
);

const neutral = v.union(
  [v.picklist(['general', 'stories']), v.strictObject({ texts: list(text, jobLimits.neutralTexts) })],
  'expected general, stories or {"texts": [...]}',
);
const template = v.picklist(['none', 'chat']);
const sweep = v.strictObject({
  strengths: list(finite, jobLimits.strengths),
  counts: list(count, jobLimits.counts),
  layers: v.exactOptional(list(integer(0, 100_000), jobLimits.layers)),
  effect: name,
  neutral,
  klBudget: v.pipe(finite, v.minValue(0)),
  controls: v.boolean(),
  samples: v.exactOptional(integer(0, 1000)),
  instruction: v.exactOptional(text),
});
const recipe = v.strictObject({
  method: name,
  settings: v.record(name, v.union([finite, v.string(), v.boolean()])),
  template,
  token: v.union(
    [v.picklist(['last', 'answer-last', 'answer-first']), v.strictObject({ offset: integer(-exampleLimits.text, -1) })],
    'expected last, answer-last, answer-first or {"offset": -1}',
  ),
  split: v.variant('kind', [
    v.strictObject({ kind: v.literal('fractions'), validation: share, test: share }),
    v.strictObject({ kind: v.literal('halves'), testHalf: v.picklist([0, 1]) }),
  ]),
  seed,
  sweep: v.nullable(sweep),
  behaviour: list(text, 1000),
  limit: v.nullable(count),
});

const common = { tiller: v.literal(JOB_FORMAT), model: v.pipe(name, v.minLength(1)) };
/** Checked by parseGraph, whose messages are better. */
const graph = v.custom<object>((value) => typeof value === 'object' && value !== null, 'expected an intervention graph');

export const jobSchema = v.variant('kind', [
  v.strictObject({ ...common, kind: v.literal('fit'), examples, recipe, seeds: integer(1, jobLimits.seeds) }),
  v.strictObject({
    ...common,
    kind: v.literal('sweep'),
    examples,
    recipe: v.pipe(
      recipe,
      v.check(({ sweep: choice }) => choice !== null, 'a sweep needs "sweep"'),
    ),
    graph,
  }),
  v.pipe(
    v.strictObject({
      ...common,
      kind: v.literal('evaluate'),
      evaluation: v.variant('type', [
        v.strictObject({
          type: v.literal('multiple-choice'),
          examples,
          primer: v.strictObject({ name, text }),
          template,
          limit: v.nullable(count),
        }),
        v.strictObject({ type: v.literal('damage'), neutral, maxLength: integer(2, 10_000_000) }),
      ]),
      graph: v.nullable(graph),
      factors: v.pipe(
        list(finite, jobLimits.factors),
        v.check((factors) => new Set(factors).size === factors.length, 'names a number twice'),
      ),
      seed,
    }),
    v.check((job) => (job.graph === null) === (job.factors.length === 0), 'factors go with a graph, and a graph with factors'),
  ),
]);

/** Of POST /v1/jobs. */
export const submissionSchema = v.strictObject({
  job: jobSchema,
  tensors: v.exactOptional(
    v.record(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits')), v.string()),
  ),
  again: v.exactOptional(v.boolean()),
});

/** @throws jobs/invalid with its place, graph/invalid, graph/too-large */
export function parseSubmission(value: unknown): JobSubmission {
  const result = v.safeParse(submissionSchema, value, { abortEarly: true });
  if (!result.success) throw new TillerError('jobs/invalid', describeIssue(result.issues[0]));
  const { job, ...rest } = result.output;
  return { ...rest, job: withGraph(job) };
}

type Parsed = v.InferOutput<typeof jobSchema>;

function withGraph(job: Parsed): JobDocument {
  if (job.kind === 'fit') return job;
  if (job.kind === 'sweep') return { ...job, graph: parseGraph(job.graph) };
  return { ...job, graph: job.graph === null ? null : parseGraph(job.graph) };
}

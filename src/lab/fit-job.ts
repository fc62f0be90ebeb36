import type { ExampleSet } from '../examples/example.ts';
import type { Recipe } from '../fit/recipe.ts';
import { fromBase64 } from '../formats/base64.ts';
import type { BoundGraph } from '../graph/document.ts';
import { readGraph } from '../graph/vectors.ts';
import type { FitResult as FitJobResult, WrittenGraph } from '../jobs/job-result.ts';
import { JOB_FORMAT, type FitJob } from '../jobs/job.ts';
import type { JobView } from '../jobs/job.ts';
import type { FitAnswer } from './engine-protocol.ts';
import { defaultChoice, type FitChoice } from './fit-choice.ts';
import type { FitResult } from './fit-result.ts';

/** A fit of the page as a job of a runner, and back. */

/** What the page keeps of a fit that it sent away, so that its result can be opened as one of its own. Outlives a reload. */
export interface SentJob {
  /** The recipe in it as it runs. */
  readonly choice: FitChoice;
  readonly asked: Recipe;
  readonly set: FitResult['set'];
  readonly chance: number;
  readonly identity: string;
  readonly modelLabel: string;
  readonly file: Blob | null;
}

export const fitJob = (model: string, { name, kind, classes, rows, problems }: ExampleSet, recipe: Recipe): FitJob => ({
  tiller: JOB_FORMAT,
  kind: 'fit',
  model,
  examples: { name, kind, classes, rows, problems },
  recipe,
  seeds: 1,
});

/** @throws graph/invalid, graph/vector where the runner sent no graphs */
export function answerOfJob({ graph, fitted, reports }: FitJobResult): FitAnswer {
  const { ranking, chosen, fixed } = fitted;
  return {
    graph: boundGraph(graph),
    report: reports[0],
    fitted: { graph: boundGraph(fitted.graph), ranking, chosen, ...(fixed && { fixed }) },
  };
}

const boundGraph = ({ json, safetensors }: WrittenGraph): BoundGraph =>
  readGraph(json, safetensors === null ? null : fromBase64(safetensors));

/** What is known of a fit that somebody else began: its recipe and result, and no examples. */
export function strangersFit({ report }: FitAnswer, { model }: Pick<JobView, 'model'>, address: string): SentJob {
  const { receipt, recipe } = report;
  const { data, model: weights } = receipt as { data?: { examples?: string }; model?: { identity?: string } };
  return {
    choice: { ...defaultChoice, source: { kind: 'file', name: 'the examples of a job' }, recipe },
    asked: recipe,
    set: { name: 'the examples of a job', kind: 'labelled', classes: ['unwanted', 'wanted'], sha256: data?.examples ?? '' },
    chance: 0.5,
    identity: weights?.identity ?? '',
    modelLabel: `${model} on ${address.replace(/^https?:\/\//, '')}`,
    file: null,
  };
}

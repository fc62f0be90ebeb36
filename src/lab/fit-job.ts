import type { ExampleSet } from '../examples/example.ts';
import type { Recipe } from '../fit/recipe.ts';
import { fromBase64 } from '../formats/base64.ts';
import type { BoundGraph } from '../graph/document.ts';
import { readGraph } from '../graph/vectors.ts';
import type { FitResult as FitJobResult, WrittenGraph } from '../jobs/job-result.ts';
import { JOB_FORMAT, type FitJob } from '../jobs/job.ts';
import type { FitAnswer } from './engine-protocol.ts';

/** A fit of the page as a job of a runner, and back. */

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

import type { Engine } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import { exampleLimits } from '../examples/limits.ts';
import { preview } from '../examples/preview.ts';
import { readExamples, type ReadExamples } from '../examples/read-examples.ts';
import { readingsOf } from '../examples/readings.ts';
import { inspectPlace } from '../fit/inspect-place.ts';
import type { FitEvent, PlaceView } from '../fit/report.ts';
import { runFit } from '../fit/run-fit.ts';
import type { ResultStore } from '../captures/result-store.ts';
import type { ModelFiles } from '../model/model.ts';
import type { ExamplesRequest, ExamplesView, FitAnswer, FitRequest, InspectRequest } from './engine-protocol.ts';
import { needTokenizer } from './prompt-tokens.ts';

/** What the engine's host does for the Fit page. Loaded when it is first asked for. */

/** @throws examples/* */
export async function examplesOf({ source, reading }: Pick<ExamplesRequest, 'source' | 'reading'>): Promise<ReadExamples> {
  const { name, text, file } = source;
  if (!file) return readExamples({ name, text: text ?? '' }, reading);
  if (file.size > exampleLimits.bytes)
    throw new TillerError('examples/too-large', { name, what: 'its size in bytes', got: file.size, limit: exampleLimits.bytes });
  return readExamples({ name, bytes: new Uint8Array(await file.arrayBuffer()) }, reading);
}

/** @throws examples/*, model/tokenizer */
export async function viewExamples(
  engine: Pick<Engine, 'model'>,
  files: Pick<ModelFiles, 'tokenizer'>,
  request: ExamplesRequest,
): Promise<ExamplesView> {
  const { rows, detected, ...set } = await examplesOf(request);
  const tokenizer = needTokenizer(files);
  const maxTokens = engine.model.limits.maxContext;
  const readings = readingsOf({ ...set, rows }, tokenizer, { ...request.recipe, maxTokens });
  return { set, detected, preview: preview({ ...set, rows }, readings, tokenizer), maxTokens };
}

/** What a fit runs on. */
interface FitPlace {
  readonly engine: Engine;
  readonly files: Pick<ModelFiles, 'tokenizer'>;
  readonly results: ResultStore;
  readonly signal: AbortSignal;
}

/** @throws what runFit throws */
export async function fitExamples(place: FitPlace, request: FitRequest, onEvent: (event: FitEvent) => void): Promise<FitAnswer> {
  const { engine, files, results, signal } = place;
  const { recipe, version, made } = request;
  onEvent({ type: 'progress', stage: 'examples', done: 0, total: 0, unit: 'examples', reused: 0 });
  const set = await examplesOf(request);
  const run = await runFit({ engine, tokenizer: needTokenizer(files), set, recipe, results, version, made, signal, onEvent });
  const { graph, ranking, chosen, fixed } = run.fitted;
  return { graph: run.graph, report: run.report, fitted: { graph, ranking, chosen, ...(fixed && { fixed }) } };
}

/** @throws what inspectPlace throws */
export async function inspectFit(place: FitPlace, request: InspectRequest): Promise<PlaceView> {
  const { engine, files, results, signal } = place;
  const { recipe, layer, head, graph } = request;
  const set = await examplesOf(request);
  return inspectPlace({ engine, tokenizer: needTokenizer(files), set, recipe, results, signal, fitted: { graph }, layer, head });
}

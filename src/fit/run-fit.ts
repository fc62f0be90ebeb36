import { captureReadings, type CapturedReadings } from '../captures/capture-readings.ts';
import type { ResultStore } from '../captures/result-store.ts';
import type { Engine } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import { evalReceipt } from '../evals/receipt.ts';
import { modelKey } from '../evals/run.ts';
import { unitKey, type UnitStore } from '../evals/unit-store.ts';
import type { ExampleSet } from '../examples/example.ts';
import type { Reading } from '../examples/reading.ts';
import type { PointName } from '../graph/points.ts';
import type { FitData, Fitted, Method } from '../methods/method.ts';
import { methodNamed } from '../methods/methods.ts';
import { readSettings } from '../methods/settings.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { doseGraph } from './dose.ts';
import { prepareExamples, stream, type PreparedExamples } from './prepared.ts';
import type { Recipe, SweepChoice } from './recipe.ts';
import type { FitEvent, FitOutcome, FitReport } from './report.ts';
import { selectAblationCandidate } from './select-ablation.ts';
import { storedUnits, type StoredUnits } from './stored-units.ts';
import { studyFit, type LayerFit, type Study } from './study.ts';

export interface FitRequest {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly set: ExampleSet;
  readonly recipe: Recipe;
  /** Where captures and finished units lie: what is there is not computed again. */
  readonly results: ResultStore;
  /** Where finished units lie instead, each kept as soon as it is done. @default with the captures, in pages of many */
  readonly units?: UnitStore;
  /** Of the program, and when this run began, for the receipt. */
  readonly version: string;
  readonly made: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FitEvent) => void;
}

export interface FitRun extends FitOutcome {
  readonly fitted: Fitted;
}

/**
 * From examples to an intervention with its measurements: split, captures, fit, sweep on validation rows, one test of what was chosen
 * beside its controls. Stopped at any moment and begun again with the same arguments, it goes on where it was.
 * @throws method/*, examples/*, eval/*, request/aborted, what the engine throws
 */
export async function runFit(request: FitRequest): Promise<FitRun> {
  const { engine, tokenizer, recipe, signal } = request;
  const onEvent = request.onEvent ?? (() => undefined);
  const method = methodNamed(recipe.method);
  const settings = readSettings(method, recipe.settings);
  if (recipe.behaviour.length > 0 && method.name !== 'ablation')
    throw new TillerError('method/settings', { method: recipe.method, setting: 'behaviour', problem: 'is of use for ablation alone' });
  const examples = prepareExamples(request.set, tokenizer, recipe, engine.model.limits.maxContext);
  for (const text of examples.notes) onEvent({ type: 'note', text });
  const data = await captureExamples(request, examples);
  const layers = sweptLayers(recipe, method);
  const fits: LayerFit[] = [];
  for (const [index, layer] of layers.entries()) {
    const judged = await method.fit(data, layer === null ? settings : { ...settings, layer }, {
      random: stream(recipe.seed, 'method'),
      ...(signal ? { signal } : {}),
      onProgress: (done, total) =>
        onEvent({ type: 'progress', stage: 'fit', done: index * total + done, total: layers.length * total, unit: 'steps', reused: 0 }),
    });
    fits.push({ layer, fitted: recipe.behaviour.length > 0 ? await chooseDirection(request, examples, judged, onEvent) : judged });
  }
  const [{ fitted: first }] = fits;
  onEvent({ type: 'fitted', report: first.report, rows: examples.counts });
  for (const text of first.report.notes) onEvent({ type: 'note', text });

  const study = recipe.sweep ? await studied(request, recipe.sweep, examples, fits, onEvent) : null;
  const fitted = study?.chosen.fit?.fitted ?? first;
  const point = study && study.recommended !== null && study.recommended > 0 ? study.sweep[study.recommended] : null;
  const graph = point ? doseGraph(fitted, point.strength, point.count) : doseGraph(fitted, 1, fitted.chosen);
  const report: FitReport = {
    recipe,
    method: fitted.report,
    rows: examples.counts,
    readings: examples.readings.length,
    effectName: study?.effectName ?? '',
    effectUnit: study?.effectUnit ?? '',
    sweep: study?.sweep ?? [],
    frontier: study?.frontier ?? [],
    recommended: study?.recommended ?? null,
    reason: study?.reason ?? '',
    cliff: study?.cliff ?? null,
    test: study?.test ?? [],
    promptOnly: study?.promptOnly ?? null,
    samples: study?.samples ?? [],
    notes: [...examples.notes, ...fitted.report.notes, ...(study?.notes ?? [])],
    receipt: {
      ...evalReceipt({
        version: request.version,
        made: request.made,
        model: engine.model,
        graphs: { fitted: fitted.graph, result: graph },
        data: { examples: request.set.sha256, ...(study ? { neutral: study.neutralHash } : {}) },
        seeds: { recipe: recipe.seed },
        resampling: study?.resampling ?? { seed: recipe.seed, resamples: 0 },
        versions: {},
      }),
      recipe,
    },
  };
  return { fitted, graph, report };
}

/** Ablation's direction by the words of the recipe. */
async function chooseDirection(
  request: FitRequest,
  examples: PreparedExamples,
  fitted: Fitted,
  onEvent: (event: FitEvent) => void,
): Promise<Fitted> {
  const { engine, tokenizer, recipe, signal } = request;
  const units = unitsOf(request);
  try {
    return await selectAblationCandidate({
      ...{ engine, tokenizer, units, fitted, behaviour: recipe.behaviour },
      readings: examples.readings.filter((_, index) => examples.readingParts[index] === 'validation'),
      ...(signal ? { signal } : {}),
      onProgress: (done, total) => onEvent({ type: 'progress', stage: 'fit', done, total, unit: 'classes', reused: 0 }),
    });
  } finally {
    await units.flush();
  }
}

/** Finished units of a model and a set of examples. */
function unitsOf({ units, results, engine, set }: FitRequest): StoredUnits {
  if (!units) return storedUnits(results, unitKey({ model: modelKey(engine), examples: set.sha256 }).slice(0, 32));
  return { get: (key) => units.get(key), set: (key, value) => units.set(key, value), flush: () => Promise.resolve() };
}

/** The study with its finished units kept, whether it ends well or not. */
async function studied(
  request: FitRequest,
  choice: SweepChoice,
  examples: PreparedExamples,
  fits: readonly LayerFit[],
  onEvent: (event: FitEvent) => void,
): Promise<Study> {
  const { engine, tokenizer, recipe, signal } = request;
  const units = unitsOf(request);
  try {
    return await studyFit({ engine, tokenizer, examples, fits, recipe, units, ...(signal ? { signal } : {}), onEvent }, choice);
  } finally {
    await units.flush();
  }
}

/**
 * The layers that a recipe fits at; one null where the method chooses.
 * @throws method/settings where layers are named for a method without the setting
 */
function sweptLayers({ sweep }: Recipe, { name, settings }: Method): readonly (number | null)[] {
  const layers = sweep?.layers ?? [];
  if (layers.length === 0) return [null];
  if (!Object.hasOwn(settings, 'layer'))
    throw new TillerError('method/settings', { method: name, setting: 'layer', problem: 'is unknown, so it cannot be swept over' });
  return layers;
}

type Points = ReturnType<Method['captures']>;

/** Points of several captures in one, layers together. */
function pointsOf(several: readonly Points[]): Points {
  const layers = new Map<PointName, Set<number> | null>();
  for (const { point, layers: some } of several.flat()) {
    const known = layers.get(point);
    if (some === undefined || known === null) layers.set(point, null);
    else layers.set(point, new Set([...(known ?? []), ...some]));
  }
  return [...layers].map(([point, some]) => (some === null ? { point } : { point, layers: [...some].sort((a, b) => a - b) }));
}

/** Labelled activations for a method, from the store where they lie there. */
export async function captureExamples(
  { engine, recipe, results, signal, onEvent }: Pick<FitRequest, 'engine' | 'recipe' | 'results' | 'signal' | 'onEvent'>,
  examples: PreparedExamples,
): Promise<FitData> {
  const method = methodNamed(recipe.method);
  const settings = readSettings(method, recipe.settings);
  const points = pointsOf(
    sweptLayers(recipe, method).map((layer) => method.captures(layer === null ? settings : { ...settings, layer }, engine.model)),
  );
  const total = examples.readings.length + (examples.spread?.length ?? 0);
  const capture = async (readings: readonly Reading[], before: number): Promise<CapturedReadings['tables']> => {
    const { tables, notes } = await captureReadings({
      engine,
      readings,
      points,
      store: results,
      ...(signal ? { signal } : {}),
      onProgress: ({ done, reused }) =>
        onEvent?.({ type: 'progress', stage: 'captures', done: before + done, total, unit: 'texts', reused }),
    });
    for (const text of notes) onEvent?.({ type: 'note', text });
    return tables;
  };
  const tables = await capture(examples.readings, 0);
  const spread = examples.spread ? await capture(examples.spread, examples.readings.length) : null;
  return {
    shape: engine.model,
    rows: examples.readings.map(({ label, group, pair }, index) => ({ label, group, pair, part: examples.readingParts[index] })),
    tables,
    ...(spread ? { spread } : {}),
  };
}

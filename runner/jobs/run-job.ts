import { answerEncoder } from '../../src/evals/answer-text.ts';
import { questionTexts, type QuestionTexts } from '../../src/evals/choices.ts';
import type { Condition } from '../../src/evals/condition.ts';
import { measureDamage } from '../../src/evals/damage.ts';
import { resampling } from '../../src/evals/estimate.ts';
import { multipleChoice } from '../../src/evals/multiple-choice.ts';
import { modelKey, type EvalRun } from '../../src/evals/run.ts';
import { unitKey, type UnitStore } from '../../src/evals/unit-store.ts';
import type { ExampleSet } from '../../src/examples/example.ts';
import { exampleSetHash } from '../../src/examples/identity.ts';
import { graphFitted } from '../../src/fit/graph-fitted.ts';
import { limitExamples, prepareExamples } from '../../src/fit/prepared.ts';
import type { FitReport } from '../../src/fit/report.ts';
import { runFit, type FitRun } from '../../src/fit/run-fit.ts';
import { storedUnits } from '../../src/fit/stored-units.ts';
import { neutralOf, studyFit } from '../../src/fit/study.ts';
import { base64 } from '../../src/formats/base64.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { writeGraph } from '../../src/graph/vectors.ts';
import { boundJobGraph } from '../../src/jobs/job-graph.ts';
import type { ChoiceResult, DamageResult, FitResult, JobResult, SweepResult, WrittenGraph } from '../../src/jobs/job-result.ts';
import type { ChoiceEvaluation, DamageEvaluation, EvaluateJob, FitJob, JobExamples, SweepJob } from '../../src/jobs/job.ts';
import type { ModelFiles } from '../../src/model/model.ts';
import { needQuestions } from '../example-options.ts';
import { engineDocument } from '../open-engine.ts';
import { usage } from '../options.ts';
import { tokenizerOf } from '../prompts.ts';
import type { JobListener, JobPlace, JobWork } from './job-place.ts';

/**
 * Does what a job asks for with the engine it is given: the command line's verbs and the runner's jobs are both this function, so
 * they come to the same numbers. Stopped at any moment and begun again, it does only the units that the stores lack.
 * @throws method/*, examples/*, eval/*, graph/*, request/aborted, what the engine and the stores throw
 */
export async function runJob(work: JobWork, place: JobPlace, report: JobListener, signal: AbortSignal): Promise<JobResult> {
  const { document } = work;
  const run = { ...work, ...place, report, signal };
  switch (document.kind) {
    case 'fit':
      return runFits(document, run);
    case 'sweep':
      return runSweepJob(document, run);
    case 'evaluate': {
      const { evaluation } = document;
      return evaluation.type === 'damage' ? runDamage(document, evaluation, run) : runChoices(document, evaluation, run);
    }
  }
}

interface Run extends JobWork, JobPlace {
  readonly report: JobListener;
  readonly signal: AbortSignal;
}

const exampleSet = (examples: JobExamples): ExampleSet => ({ ...examples, sha256: exampleSetHash(examples) });

async function runFits({ examples, recipe, seeds }: FitJob, run: Run): Promise<FitResult> {
  const { engine, files, results, units, version, made, signal, report } = run;
  const set = exampleSet(examples);
  const tokenizer = tokenizerOf(files);
  const runs: FitRun[] = [];
  for (let seed = recipe.seed; seed < recipe.seed + seeds; seed += 1) {
    if (seeds > 1) report({ type: 'note', text: `seed ${seed}` });
    runs.push(
      await runFit({
        ...{ engine, tokenizer, set, recipe: { ...recipe, seed }, results, version, made, signal },
        ...(units ? { units } : {}),
        onEvent: report,
      }),
    );
  }
  const [{ graph, fitted }] = runs;
  const { ranking, chosen, fixed } = fitted;
  return {
    kind: 'fit',
    engine: engineDocument(engine, files),
    graph: writtenGraph(graph),
    fitted: { graph: writtenGraph(fitted.graph), ranking, chosen, ...(fixed && { fixed }) },
    data: set.sha256,
    reports: runs.map((one) => one.report),
  };
}

function writtenGraph(graph: BoundGraph): WrittenGraph {
  const { json, safetensors } = writeGraph(graph);
  return { json, safetensors: safetensors && base64(safetensors) };
}

async function runSweepJob({ examples: given, recipe, graph }: SweepJob, run: Run): Promise<SweepResult> {
  const { engine, files, tensors, signal, report: onEvent } = run;
  if (!recipe.sweep) throw usage('sweep measures');
  const { sweep } = recipe;
  const fitted = graphFitted(boundJobGraph(graph, tensors));
  const set = exampleSet(given);
  const tokenizer = tokenizerOf(files);
  const examples = prepareExamples(set, tokenizer, recipe, engine.model.limits.maxContext);
  const study = await withUnits(run, set.sha256, (units) =>
    studyFit({ engine, tokenizer, examples, fits: [{ layer: null, fitted }], recipe, units, signal, onEvent }, sweep),
  );
  const { effectName, effectUnit, frontier, recommended, reason, cliff, test, promptOnly, samples } = study;
  const report: FitReport = {
    ...{ recipe, method: fitted.report, rows: examples.counts, readings: examples.readings.length, effectName, effectUnit },
    ...{ sweep: study.sweep, frontier, recommended, reason, cliff, test, promptOnly, samples },
    notes: [...examples.notes, ...study.notes],
    receipt: {},
  };
  return { kind: 'sweep', engine: engineDocument(engine, files), graph: graphHash(fitted.graph.document), data: set.sha256, report };
}

/** The texts of a multiple choice, and the questions they are of. */
export function choiceTexts(
  { examples, primer, template, limit }: ChoiceEvaluation,
  seed: number,
  files: ModelFiles,
): { readonly texts: QuestionTexts; readonly notes: string[]; readonly set: ExampleSet } {
  const notes: string[] = [];
  const given = exampleSet(examples);
  needQuestions(given);
  const set = limitExamples(given, { limit, seed }, notes);
  const encode = answerEncoder(tokenizerOf(files), { template });
  const questions = set.rows.flatMap((row) => (row.kind === 'questions' ? [row] : []));
  return { texts: questionTexts(questions, primer, encode, files.spec.maxPositions), notes, set: given };
}

async function runChoices(job: EvaluateJob, evaluation: ChoiceEvaluation, run: Run): Promise<ChoiceResult> {
  const { texts, notes, set } = choiceTexts(evaluation, job.seed, run.files);
  const { graph, conditions } = conditionsOf(job, run);
  const result = await withUnits(run, set.sha256, (store) =>
    multipleChoice(texts, conditions, resampling(job.seed), evalRun(job, run, store, 'answers')),
  );
  notes.push(...result.notes);
  for (const text of notes) run.report({ type: 'note', text });
  return {
    kind: 'multiple-choice',
    engine: engineDocument(run.engine, run.files),
    graph: graph && graphHash(graph.document),
    data: { sha256: set.sha256, questions: result.questions, answers: result.answers },
    primer: evaluation.primer.name,
    seed: job.seed,
    conditions: [
      { name: 'as is', factor: 0, ...result.unedited },
      ...conditions.map(({ name }, i) => ({ name, factor: job.factors[i], ...result.conditions[i] })),
    ],
    notes,
  };
}

async function runDamage(job: EvaluateJob, { neutral, maxLength }: DamageEvaluation, run: Run): Promise<DamageResult> {
  const { engine, files } = run;
  const { graph, conditions } = conditionsOf(job, run);
  const texts = neutralOf({ neutral }, tokenizerOf(files), engine.model.limits.maxContext, maxLength);
  const result = await withUnits(run, texts.sha256, (store) =>
    measureDamage(texts, conditions, resampling(job.seed), evalRun(job, run, store, 'documents')),
  );
  for (const text of result.notes) run.report({ type: 'note', text });
  return {
    kind: 'damage',
    engine: engineDocument(engine, files),
    graph: graph && graphHash(graph.document),
    neutral: { sha256: texts.sha256, documents: texts.sequences.length, tokens: texts.tokens },
    seed: job.seed,
    conditions: [
      { name: 'as is', factor: 0, ...result.unedited, edits: 0 },
      ...conditions.map(({ name }, i) => ({ name, factor: job.factors[i], ...result.conditions[i], edits: result.edits[i] })),
    ],
    notes: result.notes,
  };
}

const conditionName = (factor: number): string => `x${factor}`;

/** The job's graph at each of its factors. */
function conditionsOf({ graph, factors }: EvaluateJob, { tensors }: JobWork): { graph: BoundGraph | null; conditions: Condition[] } {
  if (graph === null) return { graph: null, conditions: [] };
  const bound = boundJobGraph(graph, tensors);
  const conditions = factors.map((factor) => ({
    name: conditionName(factor),
    graph: bound,
    lane: { name: conditionName(factor), strengths: { '*': factor } },
  }));
  return { graph: bound, conditions };
}

const evalRun = ({ factors }: EvaluateJob, { engine, signal, report }: Run, store: UnitStore, unit: string): EvalRun => ({
  engine,
  store,
  signal,
  onProgress: (progress) => report({ type: 'progress', stage: 'scoring', unit, ...progress }),
  onPart: ({ values, ...part }) => {
    const names = [{ name: 'as is', factor: 0 }, ...factors.map((factor) => ({ name: conditionName(factor), factor }))];
    if (values.length > 0) report({ type: 'part', ...part, conditions: names.map((row, i) => ({ ...row, values: values[i] })) });
  },
});

/**
 * Work whose finished units are kept, whether it ends well or is stopped.
 * @param data hash of what it is about
 */
async function withUnits<T>({ units, results, engine }: JobPlace, data: string, work: (store: UnitStore) => Promise<T>): Promise<T> {
  if (units) return work(units);
  const stored = storedUnits(results, unitKey({ model: modelKey(engine), examples: data }).slice(0, 32));
  try {
    return await work(stored);
  } finally {
    await stored.flush();
  }
}

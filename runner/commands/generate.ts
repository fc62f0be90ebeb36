import type { Engine, GenerateSummary, LaneStep, Sampling } from '../../src/engine/engine.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { BoundGraph, Lane } from '../../src/graph/document.ts';
import { graphHash } from '../../src/graph/hash.ts';
import type { ModelFiles } from '../../src/model/model.ts';
import { engineOptions, remoteOptions, type Command } from '../command.ts';
import { readGraphFile } from '../graph-file.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import { jsonFloats, type Output } from '../output.ts';
import { promptOption, type Prompt } from '../prompts.ts';
import { noteUnmatched, readSampling } from '../request-options.ts';

const defaultTokens = 64;

interface FactorLane extends Lane {
  readonly name: string;
  readonly factor: number;
}

interface LaneResult {
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
  readonly text: string | null;
}

/** Lane 0 is always unedited; each factor adds one. */
function factorLanes(options: Options, graph: BoundGraph | null): FactorLane[] {
  const factors = options.numbers('factor');
  if (factors.length > 0 && !graph) throw usage('--factor needs --graph');
  const steered = graph && factors.length === 0 ? [1] : factors;
  return [{ name: 'as is', factor: 0 }, ...steered.map((factor) => ({ name: `x${factor}`, factor, strengths: { '*': factor } }))];
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const choice = engineChoice(options);
  const sampling = readSampling(options);
  const asked = options.integer('max-tokens', 1);
  const prompts = await promptOption(options);
  const graphPath = options.text('graph');
  const graph = graphPath === null ? null : await readGraphFile(graphPath);
  const lanes = factorLanes(options, graph);

  const files = await openModelOption(model, output, signal, choice.runner);
  const requests = prompts(files);
  const maxTokens = ({ ids }: Prompt): number => asked ?? Math.max(1, Math.min(defaultTokens, files.spec.maxPositions - ids.length));
  const context = Math.max(...requests.map((prompt) => prompt.ids.length + maxTokens(prompt)));
  const engine = await openEngine(files, choice, context, output, signal, 'write');
  try {
    const results: unknown[] = [];
    const unmatched = new Set<string>();
    for (const prompt of requests) {
      if (requests.length > 1) output.progress('generating', results.length, requests.length);
      const request = { prompt, graph, lanes, maxTokens: maxTokens(prompt), sampling };
      const { laneResults, summary } = await generate(engine, files, request, output, signal);
      for (const id of summary.unmatched) unmatched.add(id);
      // Not part of the document: the same request gives the same one every time.
      if (process.env.TILLER_DEBUG) output.note(`timing ${JSON.stringify(summary.timing)}`);
      results.push({
        prompt: prompt.ids,
        lanes: lanes.map(({ name, factor }, index) => ({ name, factor, ...laneResults[index], edits: summary.edits[index] })),
        stopped: summary.stopped,
        unmatched: summary.unmatched,
      });
    }
    noteUnmatched(unmatched, output);
    output.result({ ...engineDocument(engine, files), graph: graph && graphHash(graph.document), sampling, results });
  } finally {
    await engine.dispose();
  }
}

interface Request {
  readonly prompt: Prompt;
  readonly graph: BoundGraph | null;
  readonly lanes: readonly FactorLane[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
}

/** Runs one prompt to its end. A single lane is written as it comes; several are written lane by lane. */
async function generate(
  engine: Engine,
  files: ModelFiles,
  { prompt, graph, lanes, maxTokens, sampling }: Request,
  output: Output,
  signal: AbortSignal,
): Promise<{ laneResults: LaneResult[]; summary: GenerateSummary }> {
  const streams = lanes.map(() => files.tokenizer?.decodeStream(prompt.ids) ?? null);
  const texts = lanes.map(() => '');
  const steps: LaneStep[][] = lanes.map(() => []);
  const single = lanes.length === 1;
  const addText = (lane: number, text: string): void => {
    texts[lane] += text;
    if (single) output.text(text);
  };
  const run = engine.generate({ prompt: prompt.ids, roles: prompt.roles ?? undefined, graph, lanes, maxTokens, sampling, signal });
  let next = await run.next();
  for (; !next.done; next = await run.next()) {
    next.value.lanes.forEach((step, lane) => {
      if (!step) return;
      steps[lane].push(step);
      addText(lane, streams[lane]?.push(step.token) ?? '');
    });
  }
  const summary = next.value;
  if (summary.stopped === 'aborted') throw new TillerError('request/aborted');
  streams.forEach((stream, lane) => addText(lane, stream?.flush() ?? ''));
  const laneResults = steps.map((taken, lane) => ({
    tokens: taken.map((step) => step.token),
    text: files.tokenizer ? texts[lane] : null,
    logprobs: jsonFloats(taken.map((step) => step.logprob)),
  }));
  if (!files.tokenizer) output.text(laneResults.map((lane, index) => `${lanes[index].name}: ${lane.tokens.join(' ')}\n`).join(''));
  else output.text(single ? '\n' : lanes.map(({ name }, lane) => `[${name}]\n${texts[lane]}\n\n`).join(''));
  return { laneResults, summary };
}

export const generateCommand: Command = {
  verb: 'generate',
  summary: 'text from a prompt; with a graph as it is and steered, side by side',
  usage: 'generate --model M (--prompt TEXT or --chat FILE or --tokens FILE) [--graph G.json] [--factor F ...] [--max-tokens N]',
  options: [
    'model',
    'prompt',
    'chat',
    'tokens',
    'graph',
    'factor',
    'max-tokens',
    'temperature',
    'top-k',
    'top-p',
    'seed',
    ...engineOptions,
    ...remoteOptions,
  ],
  run,
};

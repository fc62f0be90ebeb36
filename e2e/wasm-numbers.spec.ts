import { expect, test } from '@playwright/test';
import { createOnnxEngine } from '../src/engine/onnx/index.ts';
import type { Engine, GenerateSummary, Step } from '../src/engine/engine.ts';
import type { BoundGraph } from '../src/graph/document.ts';
import type { HostApi, Loaded, Outcome, PromptToken, RunRequest, StreamMessage, TokenShift } from '../src/lab/engine-protocol.ts';
import { nodeOnnxRuntime } from '../runner/onnx-host.ts';
import { embeddedModelFolder, entry, loadGolden, loadModelFolder } from '../test/conformance/golden.ts';
import { translate } from '../test/conformance/translate.ts';
import { nodeKernels } from '../test/kernel-threads.ts';
import { workerOf } from './lab.ts';

/** What the page's worker says about one prompt: tokens and log-probabilities by lane, and how far each token's distribution moved. */
interface Answer {
  readonly name: string;
  readonly kernels: readonly string[];
  readonly tokens: readonly (readonly number[])[];
  readonly logprobs: readonly (readonly number[])[];
  readonly kl: readonly number[];
}

interface Question {
  readonly worker: string;
  readonly quantization: 'none' | 'q4';
  readonly expandBelow: number | null;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly graphs: readonly BoundGraph[];
}

/** Runs in the page: asks a worker of its own, the one that the lab uses. */
async function ask({ worker, quantization, expandBelow, prompt, maxTokens, graphs }: Question): Promise<Answer[]> {
  const { Comlink } = window as unknown as {
    Comlink: { wrap(worker: Worker): HostApi; transfer<T>(value: T, list: Transferable[]): T };
  };
  const thread = new Worker(worker, { type: 'module' });
  const host = Comlink.wrap(thread);
  const take = async <T>(outcome: Promise<Outcome<T>>): Promise<T> => {
    const result = await outcome;
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  };
  const port = (listen: (message: StreamMessage) => void): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event: MessageEvent<StreamMessage>) => listen(event.data);
    return Comlink.transfer(port2, [port2]);
  };
  const model = { place: { kind: 'embedded', name: 'stories15M' }, quantization, precision: 'auto' } as const;
  const loaded: Loaded = await take(
    host.load(
      1,
      { model, page: document.baseURI, hub: '', engine: 'onnx', ...(expandBelow === null ? {} : { expandBelow }) },
      port(() => undefined),
    ),
  );
  const answers: Answer[] = [];
  let id = 2;
  for (const graph of graphs) {
    let read: readonly PromptToken[] = [];
    const tokens: number[][] = [[], []];
    const logprobs: number[][] = [[], []];
    const request: RunRequest = { input: { mode: 'text', prompt, system: '' }, graph, factors: [0, 1], maxTokens, sampling: {} };
    const stream = port((message) => {
      if (message.type === 'prompt') read = message.tokens;
      else
        message.lanes.forEach((lane, i) => {
          if (!lane) return;
          tokens[i].push(lane.id);
          logprobs[i].push(lane.logprob);
        });
    });
    const { unmatched, stopped } = await take<GenerateSummary>(host.generate(id++, request, stream));
    if (unmatched.length > 0) throw new Error(`edits that matched nothing: ${unmatched.join(', ')}`);
    if (stopped !== 'length') throw new Error(`the text ended early: ${stopped}`);
    // The last tokens may come after the summary: they have a port of their own.
    while (tokens.some((lane) => lane.length < maxTokens)) await new Promise((resolve) => setTimeout(resolve, 10));
    const lanes = [{ ids: tokens[1], factor: 1 }];
    const [shifts] = await take<readonly (readonly TokenShift[])[]>(host.shifts(id++, { prompt: read, graph, lanes }));
    answers.push({ name: loaded.info.adapter.name, kernels: loaded.info.kernels, tokens, logprobs, kl: shifts.map((shift) => shift.kl) });
  }
  thread.terminate();
  return answers;
}

/** The same of an engine that is here. */
async function askHere(
  engine: Engine,
  prompt: readonly number[],
  graph: BoundGraph,
  maxTokens: number,
): Promise<Omit<Answer, 'name' | 'kernels'>> {
  const tokens: number[][] = [[], []];
  const logprobs: number[][] = [[], []];
  for await (const { lanes } of engine.generate({ prompt, graph, maxTokens }) as AsyncIterable<Step>)
    lanes.forEach((lane, i) => {
      if (!lane) return;
      tokens[i].push(lane.token);
      logprobs[i].push(lane.logprob);
    });
  const { sequences } = await engine.score({ sequences: [{ ids: [...prompt, ...tokens[1]], promptLength: prompt.length }], graph });
  return { tokens, logprobs, kl: [...(sequences[0].kl ?? [])].slice(prompt.length - 1) };
}

/** WebAssembly has no fused multiply-add, so that its f32 sums are up to 6e-4 from exact ones in these cases, Node's 8e-5. Goldens allow 2e-3. */
const arithmetic = 1e-3;

const folder = embeddedModelFolder();
const gap = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
const now = (): number => performance.now();

test('WebAssembly in the browser gives the numbers of the goldens and of Node', async ({ page }) => {
  test.setTimeout(300_000);
  if (folder === null) throw new Error('the embedded model is not there');
  const { spec, source } = loadModelFolder(folder);
  const { file, vectors, expected } = loadGolden('real_stories15M');
  const prompts = (file as unknown as { prompts: readonly string[] }).prompts;
  const graphs = file.interventions.map(({ interventions }) => translate(interventions, spec, vectors));

  const worker = await workerOf(page);
  const question = { worker, quantization: 'none', expandBelow: null, prompt: prompts[0], maxTokens: file.new_tokens, graphs } as const;
  const answers = await page.evaluate(ask, question);

  const engine = await createOnnxEngine(spec, source, await nodeOnnxRuntime(), { now, threads: 1, precision: 'f32' });
  for (const [at, { name: tag }] of file.interventions.entries()) {
    const { name, tokens, logprobs, kl } = answers[at];
    expect(name).toMatch(/^onnxruntime-web .* in WebAssembly/);
    expect(tokens[0], tag).toEqual([...entry(expected, 'greedy.base.0').data]);
    expect(tokens[1], tag).toEqual([...entry(expected, `greedy.${tag}.0`).data]);
    const here = await askHere(engine, file.sequences[0], graphs[at], file.new_tokens);
    expect(here.tokens).toEqual(tokens);
    for (const lane of [0, 1]) expect(gap(logprobs[lane], here.logprobs[lane]), `${tag}, log-probabilities`).toBeLessThan(arithmetic);
    expect(kl.length).toBe(file.new_tokens);
    expect(gap(kl, here.kl), `${tag}, KL`).toBeLessThan(arithmetic);
  }
  await engine.dispose();
});

/** A last bit may round an activation to the other side of an integer, by 1/254 of the largest in its block of 32; over six layers that adds up. */
const rounding = 0.15;

test('a quantised model that is not expanded runs on our own kernels, and they give what they give in Node', async ({ page }) => {
  test.setTimeout(300_000);
  if (folder === null) throw new Error('the embedded model is not there');
  const { spec, source } = loadModelFolder(folder);
  const { file, vectors } = loadGolden('real_stories15M');
  const prompts = (file as unknown as { prompts: readonly string[] }).prompts;
  const graphs = [translate(file.interventions[0].interventions, spec, vectors)];

  const worker = await workerOf(page);
  const question = { worker, quantization: 'q4', expandBelow: 0, prompt: prompts[0], maxTokens: file.new_tokens, graphs } as const;
  const [{ kernels, tokens, logprobs, kl }] = await page.evaluate(ask, question);
  expect(kernels.join(' ')).toMatch(/Tiller's own WebAssembly kernels with relaxed SIMD, \d+ threads?, the fastest/);

  const runtime = { ...(await nodeOnnxRuntime()), kernels: nodeKernels(1) };
  const engine = await createOnnxEngine(spec, source, runtime, { now, threads: 1, quantization: 'q4' });
  const here = await askHere(engine, file.sequences[0], graphs[0], file.new_tokens);
  expect(here.tokens).toEqual(tokens);
  for (const lane of [0, 1]) expect(gap(logprobs[lane], here.logprobs[lane]), 'log-probabilities').toBeLessThan(rounding);
  expect(gap(kl, here.kl), 'KL').toBeLessThan(rounding);
  await engine.dispose();
});

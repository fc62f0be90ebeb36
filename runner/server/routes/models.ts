import type { FastifyInstance } from 'fastify';
import { compilePlan } from '../../../src/graph/compile.ts';
import { wordDirections } from '../../../src/model/word-direction.ts';
import { bindGraph } from '../../../src/graph/vectors.ts';
import { defaultLanes } from '../../../src/engine/request.ts';
import { sendFrames } from '../frame-stream.ts';
import { captureWork, checkWord, readSentGraph, scoreWork } from '../requests.ts';
import { route } from '../route.ts';
import type { Runner } from '../runner.ts';
import { servedTokenizer, servedWeights } from '../served-models.ts';

/** What a runner is and serves, and everything that is done with a model but generation. */
export function modelRoutes(app: FastifyInstance, runner: Runner): void {
  const { limits, log } = runner.config;
  const timeout = limits.clientTimeout;
  const { now } = runner;
  const prompts = log === 'prompts';

  route(app, 'capabilities', () => runner.capabilities());

  route(app, 'description', ({ parameters: { model } }) => {
    const { name, spec, identity, weightBytes, stored, suggested, notes, tokenizer } = runner.files(model);
    const quantization = runner.config.engine.quantization ?? suggested;
    return { name, spec, identity, weightBytes, stored, quantization, notes, tokenizer };
  });

  // Tokenizers are large and change only with their files: read and written out once.
  const tokenizers = new Map<string, Promise<string>>();
  route(app, 'tokenizer', async ({ reply, parameters: { model } }) => {
    const files = runner.files(model);
    const text = tokenizers.get(model) ?? servedTokenizer(files).then((parts) => JSON.stringify(parts));
    tokenizers.set(model, text);
    text.catch(() => tokenizers.delete(model));
    return reply.type('application/json').send(await text);
  });

  route(app, 'load', ({ request, reply, parameters: { model } }) => {
    runner.files(model);
    return sendFrames(request, reply, {
      work: async (events, signal) => {
        const info = await runner.pool.load(model, events, signal);
        return { ...info, limits: runner.limits(model).limits };
      },
      timeout,
      now,
    });
  });

  route(app, 'check', async ({ parameters: { model }, body }) => {
    const { spec } = runner.files(model);
    const graph = await readSentGraph(body.graph, runner.tensors, limits);
    if (!graph) return { refusals: [] };
    const bound = bindGraph(graph.document, graph.vectors);
    const { refusals } = compilePlan({ graph: bound, shape: spec, vocab: spec.vocab, lanes: body.lanes ?? defaultLanes(bound) });
    return { refusals };
  });

  route(app, 'score', async ({ request, reply, parameters: { model }, body }) => {
    const { work, bytes } = await scoreWork(body, runner.limits(model), runner.tensors, limits);
    const release = runner.answers.take(bytes);
    if (prompts) request.log.info({ model, sequences: body.sequences.map(({ ids }) => ids) }, 'score');
    return sendFrames(request, reply, { work: (events, signal) => runner.pool.run(model, work, events, signal), timeout, now, release });
  });

  route(app, 'capture', async ({ request, reply, parameters: { model }, body }) => {
    const { work, bytes } = await captureWork(body, runner.limits(model), runner.tensors, limits);
    const release = runner.answers.take(bytes);
    if (prompts) request.log.info({ model, sequences: body.sequences.map(({ ids }) => ids) }, 'capture');
    return sendFrames(request, reply, { work: (events, signal) => runner.pool.run(model, work, events, signal), timeout, now, release });
  });

  // Reads a few matrices block by block, with a turn for others between two blocks: it needs neither the engine nor its process.
  route(app, 'wordDirections', ({ request, reply, parameters: { model }, body: { ids } }) => {
    const files = runner.files(model);
    const { spec } = files;
    checkWord(ids, spec);
    const release = runner.answers.take(4 * spec.layers * spec.heads * spec.headDim);
    return sendFrames(request, reply, {
      work: async (_events, signal) => wordDirections(spec, await servedWeights(files, signal), ids, signal),
      timeout,
      now,
      release,
    });
  });
}

import { appendFileSync, mkdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { childPort } from '../runner/server/child-port.ts';
import { serveEngine } from '../runner/server/engine-session.ts';
import type { Engine, GenerateRequest, GenerateSummary, Step } from '../src/engine/engine.ts';
import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { openModel } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import { countFile, faults, floodLanes, noise } from './faults.ts';

/** An engine's process that fails as drivers and programs do, where the first token of the prompt asks for it. */
async function* faulty(engine: Engine, request: GenerateRequest, results: string): AsyncGenerator<Step, GenerateSummary, void> {
  const [first] = request.prompt;
  if (first === faults.hang) for (;;) Math.sqrt(2);
  if (first === faults.still) await new Promise(() => undefined);
  if (first === faults.crash) {
    setImmediate(() => {
      throw new Error('a test crash');
    });
    await new Promise(() => undefined);
  }
  if (first === faults.abort) process.abort();
  if (first === faults.segfault) {
    process.kill(process.pid, 'SIGSEGV');
    await new Promise(() => undefined);
  }
  if (first === faults.noise) writeSync(1, noise);
  if (first === faults.counted) return yield* counted(request.signal, results);
  if (first === faults.flood) return yield* flood(request.signal);
  return yield* engine.generate(request);
}

const stopped: GenerateSummary = {
  edits: [],
  unmatched: [],
  stopped: 'aborted',
  timing: { promptTokens: 2, reusedTokens: 0, prefillMs: 0, decodeMs: 0, decodedTokens: 0, dispatches: 0, submits: 0 },
};

function* counted(signal: AbortSignal | undefined, results: string): Generator<Step, GenerateSummary, void> {
  mkdirSync(results, { recursive: true });
  for (let index = 0; signal?.aborted !== true; index++) {
    appendFileSync(join(results, countFile), '.');
    yield { index, lanes: [{ token: index, logprob: -1 }] };
  }
  return stopped;
}

function* flood(signal: AbortSignal | undefined): Generator<Step, GenerateSummary, void> {
  const lanes = Array.from({ length: floodLanes }, (_, token) => ({ token, logprob: -token / 7 }));
  for (let index = 0; signal?.aborted !== true; index++) yield { index, lanes };
  return stopped;
}

serveEngine(childPort(), {
  open: async (model) => {
    const { spec, source } = await openModel(openFolder(model.folder));
    const engine = await createReferenceEngine(spec, source, { now: () => performance.now() });
    return {
      model: engine.model,
      generate: (request) => faulty(engine, request, model.results),
      score: (request) => engine.score(request),
      capture: (request) => engine.capture(request),
      check: (graph, lanes) => engine.check(graph, lanes),
      dispose: () => engine.dispose(),
    };
  },
  runJob: null,
});

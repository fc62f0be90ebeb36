import { writeSync } from 'node:fs';
import { childPort } from '../runner/server/child-port.ts';
import { serveEngine } from '../runner/server/engine-session.ts';
import type { Engine, GenerateRequest, GenerateSummary, Step } from '../src/engine/engine.ts';
import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { openModel } from '../src/model/model.ts';
import { openFolder } from '../src/store/folder.ts';
import { faults, noise } from './faults.ts';

/** An engine's process that fails as drivers and programs do, where the first token of the prompt asks for it. */
async function* faulty(engine: Engine, request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
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
  return yield* engine.generate(request);
}

serveEngine(childPort(), {
  open: async (model) => {
    const { spec, source } = await openModel(openFolder(model.folder));
    const engine = await createReferenceEngine(spec, source, { now: () => performance.now() });
    return {
      model: engine.model,
      generate: (request) => faulty(engine, request),
      score: (request) => engine.score(request),
      capture: (request) => engine.capture(request),
      check: (graph, lanes) => engine.check(graph, lanes),
      dispose: () => engine.dispose(),
    };
  },
  runJob: null,
});

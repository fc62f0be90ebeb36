import type { Engine, LoadProgress } from '../../src/engine/engine.ts';
import type { ResultStore } from '../../src/captures/result-store.ts';
import { TillerError } from '../../src/errors/error.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { resultsFolder } from '../../src/store/results-folder.ts';
import { runJob } from '../jobs/run-job.ts';
import { version } from '../version.ts';
import { openFolder } from '../../src/store/folder.ts';
import { openEngine } from '../open-engine.ts';
import type { Output } from '../output.ts';
import { childPort } from './child-port.ts';
import { serveEngine } from './engine-session.ts';
import type { EngineModel } from './engine-protocol.ts';

/** Entry of an engine's process. */

/** What loading says is for the log of a command line; its process has none. */
const quiet: Output = {
  json: true,
  text: () => undefined,
  note: () => undefined,
  progress: () => undefined,
  result: () => undefined,
  announce: () => undefined,
};

let held: { readonly files: ModelFiles; readonly results: ResultStore } | null = null;

async function open(model: EngineModel, onProgress: (progress: LoadProgress) => void): Promise<Engine> {
  const { signal } = new AbortController();
  const opened = await openModel(openFolder(model.folder), signal, model.weights ?? undefined);
  const place = { folder: model.folder, ...(model.weights === null ? {} : { weights: model.weights }) };
  held = { files: opened, results: resultsFolder(model.results) };
  return openEngine(
    { ...opened, quantization: opened.suggested, place },
    { ...model, runner: null },
    model.maxContext,
    quiet,
    signal,
    'measure',
    onProgress,
  );
}

serveEngine(childPort(), {
  open,
  runJob: (engine, job, units, report, signal) => {
    if (!held) throw new TillerError('internal', { problem: 'a job came before its model' });
    return runJob(job, { engine, ...held, units, version: version() }, report, signal);
  },
});

import { parentPort } from 'node:worker_threads';
import type { Engine, LoadProgress } from '../../src/engine/engine.ts';
import { openModel } from '../../src/model/model.ts';
import { openFolder } from '../../src/store/folder.ts';
import { openEngine } from '../open-engine.ts';
import type { Output } from '../output.ts';
import { serveEngine } from './engine-session.ts';
import type { ThreadModel } from './thread-protocol.ts';

/** Entry of an engine's thread. */

/** What loading says is for the log of a command line; a thread has none. */
const quiet: Output = { json: true, text: () => undefined, note: () => undefined, progress: () => undefined, result: () => undefined };

async function open(model: ThreadModel, onProgress: (progress: LoadProgress) => void): Promise<Engine> {
  const { signal } = new AbortController();
  const files = await openModel(openFolder(model.folder), signal, model.weights ?? undefined);
  return openEngine({ ...files, quantization: files.suggested }, model, model.maxContext, quiet, signal, 'measure', onProgress);
}

if (!parentPort) throw new Error('this file is the entry of a worker thread');
serveEngine(parentPort, { open, runJob: null });

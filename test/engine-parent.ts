import { startFaulty } from './faulty-start.ts';
import { golden } from './cli.ts';
import type { Work } from '../runner/server/engine-protocol.ts';

/**
 * A process with an engine's process and no server, for tests that kill it. It says on standard output, a JSON document a line: `{"pid"}` when
 * the engine is open, then a document for everything the engine says about the run that its argument begins.
 */
const first = Number(process.argv[2]);
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const work: Work = { kind: 'generate', request: { prompt: [first, 2], maxTokens: 2, stop: [], graph: null } };
const engine = startFaulty({
  onMessage: (message) => {
    if (message.type === 'ready') {
      engine.post({ type: 'work', id: 1, work });
      say({ pid: engine.pid });
    } else if (message.type === 'step') {
      engine.post({ type: 'heard', id: 1 });
      say(message);
    } else if (message.type === 'done') say(message);
  },
  onEnd: (problem) => say({ problem }),
});
const folder = golden('llama_gqa_tied');
engine.post({
  type: 'open',
  model: {
    ...{ name: 'model', folder, weights: null, engine: 'reference', quantization: null, precision: 'auto', weightCache: 'off' },
    ...{ anyway: true, maxContext: null, results: '' },
  },
});

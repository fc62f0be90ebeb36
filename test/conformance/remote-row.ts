import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { nodeNetwork } from '../../runner/node-network.ts';
import { defaultLimits, type RunnerConfig } from '../../runner/server/config.ts';
import { serveEngine } from '../../runner/server/engine-session.ts';
import type { StartEngine } from '../../runner/server/engine-process.ts';
import { defaultPool } from '../../runner/server/runner.ts';
import { startRunner } from '../../runner/server/start.ts';
import type { FromEngine } from '../../runner/server/engine-protocol.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { createRemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import type { EngineUnderTest, Scope } from './engines.ts';

/** An engine of this process behind the messages that one in its own would have. */
const inThisProcess =
  (open: () => Promise<Engine>): StartEngine =>
  ({ onMessage }) => {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (message: FromEngine) => onMessage(message));
    serveEngine(sessionPort(port2), { open, runJob: null });
    return {
      pid: null,
      post: (message) => port1.postMessage(message),
      kill: () => {
        port1.close();
        return Promise.resolve();
      },
    };
  };

const sessionPort = (port: MessagePort): Parameters<typeof serveEngine>[0] => ({
  postMessage: (message) => port.postMessage(message),
  on: (event, listener) => port.on(event, listener),
});

export const remoteConfig = (folder: string): RunnerConfig => ({
  token: null,
  origins: [],
  hostNames: [],
  tls: null,
  limits: { ...defaultLimits, rate: 1_000_000 },
  engine: { engine: 'auto', quantization: null, precision: 'auto', weightCache: 'off', anyway: true, maxContext: null },
  program: 'test',
  folder,
  log: 'quiet',
});

/** An engine of another row, behind a runner on this machine. */
export function remoteRow(inner: EngineUnderTest, scope: Scope): EngineUnderTest {
  return {
    name: `${inner.name}, by a runner`,
    accuracy: inner.accuracy,
    scope,
    open: async (spec, source, options = {}) => {
      const folder = mkdtempSync(join(tmpdir(), 'tiller-remote-'));
      const running = await startRunner({
        config: remoteConfig(folder),
        pool: defaultPool,
        models: [
          {
            ...{ name: 'model', folder: '', weights: null, spec, identity: source.identity, tensors: source.tensors, weightBytes: 0 },
            ...{ stored: ['safetensors'], suggested: 'none', notes: [], tokenizer: false, chat: false },
          },
        ],
        address: '127.0.0.1',
        port: 0,
        start: () => inThisProcess(() => inner.open(spec, source, options)),
      });
      const engine = await createRemoteEngine({ ...nodeNetwork, address: running.address, token: null, model: 'model' });
      return {
        model: engine.model,
        generate: (request) => engine.generate(request),
        score: (request) => engine.score(request),
        capture: (request) => engine.capture(request),
        check: (graph, lanes) => engine.check(graph, lanes),
        dispose: async () => {
          await engine.dispose();
          await running.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Contestant, ContestantTask } from './contestant.ts';

/** What of node-llama-cpp is used: the package is not a dependency, so its types are not at hand. */
interface LlamaCpp {
  readonly getLlama: (options: { gpu: false; build: 'never'; logLevel: 'error'; maxThreads: number }) => Promise<{
    readonly systemInfo: string;
    loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<{
      createContext(options: { contextSize: number; batchSize: number; threads: number }): Promise<{ getSequence(): LlamaSequence }>;
    }>;
  }>;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncIterable<number>;
}

/** Where node-llama-cpp is installed: the folder that TILLER_BENCH_LLAMA_CPP names, which has it in its node_modules, else here. */
const installed = (): string => join(process.env.TILLER_BENCH_LLAMA_CPP ?? '.', 'package.json');

/** llama.cpp in this process. @throws where node-llama-cpp is not installed */
export async function llamaCppContestant({ model: folder, threads }: ContestantTask): Promise<Contestant> {
  const require = createRequire(pathToFileURL(installed()));
  const root = require.resolve.paths('node-llama-cpp')?.map((path) => join(path, 'node-llama-cpp')) ?? [];
  const { existsSync, readFileSync } = await import('node:fs');
  const found = root.find((path) => existsSync(join(path, 'package.json')));
  if (found === undefined) throw new Error('node-llama-cpp is not installed (TILLER_BENCH_LLAMA_CPP names the folder that has it)');
  const { version } = JSON.parse(readFileSync(join(found, 'package.json'), 'utf8')) as { version: string };
  const { getLlama } = (await import(pathToFileURL(join(found, 'dist', 'index.js')).href)) as LlamaCpp;
  const count = threads ?? 1;
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: count });
  const model = await llama.loadModel({ modelPath: join(folder, 'model.gguf'), gpuLayers: 0 });
  const context = await model.createContext({ contextSize: 256, batchSize: 256, threads: count });
  const sequence = context.getSequence();
  return {
    detail: `node-llama-cpp ${version}, ${count} threads`,
    notes: [llama.systemInfo],
    async generate(prompt, tokens, onToken) {
      await sequence.clearHistory();
      let made = 0;
      for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        onToken(token);
        if (++made === tokens) break;
      }
    },
  };
}

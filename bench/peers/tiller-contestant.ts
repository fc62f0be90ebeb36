import type { Engine } from '../../src/engine/engine.ts';
import type { Contestant } from './contestant.ts';

/** One of our engines. The cache of a prompt before is passed over by giving the same prompt only once. */
export function tillerContestant(engine: Engine, name: string): Contestant {
  return {
    detail: `${name}, ${engine.model.adapter.name}`,
    notes: engine.model.kernels,
    async generate(prompt, tokens, onToken) {
      for await (const { lanes } of engine.generate({ prompt, maxTokens: tokens, stop: [] })) {
        const [step] = lanes;
        if (step) onToken(step.token);
      }
    },
  };
}

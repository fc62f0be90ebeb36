import type * as Transformers from '@huggingface/transformers';
import type { Contestant, ContestantTask } from './contestant.ts';

const dtypes = { none: 'fp32', q8: 'q8', q4: 'q4' } as const;

/** transformers.js on a model of builder-export.ts. `folder` is a path under env.localModelPath. */
export async function transformersContestant(
  lib: typeof Transformers,
  folder: string,
  { quantization, threads }: Pick<ContestantTask, 'quantization' | 'threads'>,
  device: 'cpu' | 'wasm',
): Promise<Contestant> {
  const { AutoModelForCausalLM, Tensor, BaseStreamer, env } = lib;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  const sessions = device === 'cpu' && threads !== null ? { session_options: { intraOpNumThreads: threads } } : {};
  const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: dtypes[quantization], device, ...sessions });
  return {
    detail: `transformers.js ${env.version} on ${device}${threads === null ? '' : `, ${threads} threads`}`,
    notes: [],
    async generate(prompt, tokens, onToken) {
      let prompted = false;
      class Listener extends BaseStreamer {
        override put(value: bigint[][]): void {
          if (prompted) onToken(Number(value[0][0]));
          prompted = true;
        }
        override end(): void {}
      }
      const ids = new Tensor('int64', BigInt64Array.from(prompt, BigInt), [1, prompt.length]);
      const mask = new Tensor('int64', new BigInt64Array(prompt.length).fill(1n), [1, prompt.length]);
      await model.generate({
        inputs: ids,
        attention_mask: mask,
        max_new_tokens: tokens,
        do_sample: false,
        streamer: new Listener(),
      } as never);
    },
  };
}

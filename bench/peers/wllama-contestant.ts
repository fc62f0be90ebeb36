import { LoggerWithoutDebug, Wllama } from '@wllama/wllama';
import type { Contestant } from './contestant.ts';

/** What wllama's server part takes besides what its types say: a prompt as token ids. */
type Prompt = string & { readonly ids?: never };

/**
 * wllama, llama.cpp in WebAssembly, on a file of gguf-export.ts. It gives texts, so ids are read off the texts that the file gives its
 * tokens: `t123`, bytes, and nothing for control tokens, at which it stops.
 */
export async function wllamaContestant(wasm: string, model: () => Promise<Uint8Array<ArrayBuffer>>, threads: number): Promise<Contestant> {
  const wllama = new Wllama({ default: wasm }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
  await wllama.loadModel([new Blob([await model()])], { n_ctx: 256, n_batch: 256, n_threads: threads, n_gpu_layers: 0, warmup: false });
  return {
    detail: `wllama, ${threads} threads${wllama.isMultithread() ? '' : ' (the build with one)'}`,
    notes: [],
    async generate(prompt, tokens, onToken) {
      const stream = await wllama.createCompletion({
        prompt: [...prompt] as unknown as Prompt,
        max_tokens: tokens,
        temperature: 0,
        ignore_eos: true,
        stream: true,
        ...{ cache_prompt: false },
      });
      for await (const { choices } of stream) for (const id of idsOf(choices[0]?.text ?? '')) onToken(id);
    },
  };
}

function idsOf(text: string): number[] {
  return [...text.matchAll(/t(\d+)|([^])/g)].map(([, id, byte]) => (id === undefined ? byte.charCodeAt(0) + 3 : Number(id)));
}

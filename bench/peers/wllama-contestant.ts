import { LoggerWithoutDebug, Wllama } from '@wllama/wllama';
import type { Contestant } from './contestant.ts';
import { characterOf, tokensOf } from './token-characters.ts';

/**
 * wllama, llama.cpp in WebAssembly, on a file of gguf-export.ts, whose tokens are characters: texts are all that it takes and gives. The
 * token that opens a text it adds by itself, and the end of a text is never taken.
 */
export async function wllamaContestant(wasm: string, model: () => Promise<Uint8Array<ArrayBuffer>>, threads: number): Promise<Contestant> {
  const wllama = new Wllama({ default: wasm }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
  await wllama.loadModel([new Blob([await model()])], { n_ctx: 256, n_batch: 256, n_threads: threads, n_gpu_layers: 0, warmup: false });
  return {
    detail: `wllama, ${threads} threads${wllama.isMultithread() ? '' : ' (the build with one)'}`,
    notes: [],
    async generate(prompt, tokens, onToken) {
      const stream = await wllama.createCompletion({
        prompt: prompt.slice(1).map(characterOf).join(''),
        max_tokens: tokens,
        temperature: 0,
        ignore_eos: true,
        stream: true,
        ...{ cache_prompt: false },
      });
      for await (const { choices } of stream) for (const id of tokensOf(choices[0]?.text ?? '')) onToken(id);
    },
  };
}

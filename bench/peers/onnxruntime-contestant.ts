import type { InferenceSession, InferenceSessionFactory, Tensor, TensorConstructor } from 'onnxruntime-common';
import type { Contestant } from './contestant.ts';

/** ONNX Runtime and a session of it with a model of builder-export.ts. */
export interface OnnxRuntimePeer {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
  readonly detail: string;
}

/**
 * ONNX Runtime's WebGPU provider, used as well as it can be from JavaScript: keys and values stay on the device, and only the logits of
 * the last position are read.
 */
export async function onnxRuntimeContestant(
  ort: OnnxRuntimePeer,
  model: Uint8Array | string,
  kvHeads: number,
  headDim: number,
): Promise<Contestant> {
  const options = (names: readonly string[]): InferenceSession.SessionOptions => ({
    executionProviders: ['webgpu'],
    logSeverityLevel: 3,
    preferredOutputLocation: Object.fromEntries(names.map((name) => [name, name === 'logits' ? 'cpu' : 'gpu-buffer'])),
  });
  const create = (names: readonly string[]): Promise<InferenceSession> =>
    typeof model === 'string' ? ort.InferenceSession.create(model, options(names)) : ort.InferenceSession.create(model, options(names));
  // Names are known only to a session, and must be given to make one.
  const scout = await create([]);
  const names = [...scout.outputNames];
  await scout.release();
  const session = await create(names);
  const cached = names.filter((name) => name.startsWith('present.'));
  const pastOf = (name: string): string => name.replace('present.', 'past_key_values.');
  const whole = (values: readonly number[]): Tensor => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);

  return {
    detail: ort.detail,
    notes: [],
    async generate(prompt, tokens, onToken) {
      let past: Record<string, Tensor> = Object.fromEntries(
        cached.map((name) => [pastOf(name), new ort.Tensor('float32', new Float32Array(0), [1, kvHeads, 0, headDim])]),
      );
      let input = prompt;
      for (let made = 0; made < tokens; made++) {
        const length = prompt.length + made;
        const feeds = { input_ids: whole(input), attention_mask: whole(Array.from({ length }, () => 1)), ...past };
        const results = await session.run(feeds);
        for (const tensor of Object.values(past)) tensor.dispose();
        past = Object.fromEntries(cached.map((name) => [pastOf(name), results[name]]));
        const logits = results.logits.data as Float32Array;
        let best = 0;
        for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
        onToken(best);
        input = [best];
      }
      for (const tensor of Object.values(past)) tensor.dispose();
    },
  };
}

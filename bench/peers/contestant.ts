/** An engine with a model in it, ours or another: greedy tokens of a prompt, one after another. Runs in Node and in a page. */
export interface Contestant {
  /** Package, version and how it runs, for people. */
  readonly detail: string;
  /** What else took part in a number: the adapter, kernels. */
  readonly notes: readonly string[];
  /** Gives exactly `tokens` tokens to `onToken`, never stopping at an end of text. Nothing of an earlier prompt is used again. */
  generate(prompt: readonly number[], tokens: number, onToken: (id: number) => void): Promise<void>;
}

/** How one contestant is opened. */
export interface ContestantTask {
  readonly kind: ContestantKind;
  readonly quantization: 'none' | 'q8' | 'q4';
  /** Threads; null: the contestant's own choice. */
  readonly threads: number | null;
  /** Folder (Node) or address (page) with model.gguf, config.json and onnx/. */
  readonly model: string;
}

export const contestantKinds = [
  'tiller-webgpu',
  'tiller-onnx',
  'tiller-wasm',
  'onnxruntime-webgpu',
  'transformers',
  'llama-cpp',
  'wllama',
] as const;
export type ContestantKind = (typeof contestantKinds)[number];

/** One prompt and its continuation. */
export interface Turn {
  readonly ids: readonly number[];
  /** Milliseconds from the request to the first token, and from there to the last. */
  readonly firstMs: number;
  readonly restMs: number;
  /** Milliseconds of processor time of all threads in `restMs`; null where they cannot be told. */
  readonly restCpuMs: number | null;
}

/** @param cpu processor time so far, in milliseconds */
export async function takeTurn(
  contestant: Contestant,
  prompt: readonly number[],
  tokens: number,
  cpu: (() => number) | null = null,
): Promise<Turn> {
  const ids: number[] = [];
  const start = performance.now();
  let first = 0;
  let last = 0;
  let used = 0;
  await contestant.generate(prompt, tokens, (id) => {
    ids.push(id);
    last = performance.now();
    if (ids.length > 1) return;
    first = last;
    used = cpu?.() ?? 0;
  });
  const restCpuMs = cpu ? cpu() - used : null;
  if (ids.length !== tokens) throw new Error(`${contestant.detail} gave ${ids.length} tokens of ${tokens}`);
  return { ids, firstMs: first - start, restMs: last - first, restCpuMs };
}

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModelSpec } from '../src/model/spec.ts';
import { number, show, type Measurement } from './measurement.ts';
import { spread, type Spread } from './spread.ts';

export interface ChatResult {
  readonly command: string;
  readonly starts: readonly {
    readonly name: string;
    /** Seconds from the start of the process to its end, less those of the prompt and of decoding. */
    readonly loadS: number;
    readonly promptTokens: number;
    readonly promptMs: number;
    /** Tokens a second of both lanes together. */
    readonly tokensPerSecond: number;
    readonly peakBytes: number;
  }[];
  /** Over all starts. */
  readonly decode: Spread;
}

const bin = fileURLToPath(new URL('../runner/tiller.js', import.meta.url));
const TOKENS = 48;
const HEADS = 4;

/** A direction for each of some heads in the middle of a model, added to what is generated. */
function steering({ layers, heads, kvHeads, headDim, hidden, intermediate }: ModelSpec): object {
  const data = Array.from({ length: HEADS * headDim }, (_, i) => Number((0.18 * Math.sin(7.13 * (i + 1))).toFixed(4)));
  const places = Array.from({ length: HEADS }, (_, i) => ({ layer: Math.floor(layers / 2) + i, head: (5 * i + 3) % heads }));
  return {
    tiller: 1,
    model: { family: 'llama', layers, heads, kvHeads, headDim, hidden, intermediate },
    vectors: { t: { shape: [HEADS, headDim], data } },
    nodes: places.map(({ layer, head }, i) => ({
      id: `h${layer}.${head}`,
      edit: 'add',
      at: { point: 'z', layer, head },
      vector: ['t', i],
      strength: 1,
      tokens: 'generated',
    })),
  };
}

interface Timing {
  readonly promptTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly decodedTokens: number;
}

/** Runs the command; the peak of memory is what /proc says shortly before the end, so it is an undercount by at most the last moments. */
function runCommand(args: readonly string[]): Promise<{ wall: number; peak: number; timing: Timing }> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [bin, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TILLER_DEBUG: '1' },
    });
    let [errors, peak] = ['', 0];
    const watch = setInterval(() => {
      const status = `/proc/${child.pid}/status`;
      if (existsSync(status)) peak = 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1] ?? peak / 1024);
    }, 200);
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(watch);
      const timing = /^tiller: timing (.*)$/m.exec(errors)?.[1];
      if (status !== 0 || timing === undefined) reject(new Error(`tiller ${args.join(' ')} ended with ${status}: ${errors}`));
      else resolve({ wall: performance.now() - start, peak, timing: JSON.parse(timing) as Timing });
    });
  });
}

/** A chat of one message with a steered lane beside the unedited one, on the CPU, as a person would type it. */
export const chat: Measurement<ChatResult> = {
  name: 'chat',
  title: 'A steered chat on the CPU',
  of: 'model',
  columns: ['start', 'loading, s', 'prompt', 'tokens/s of two lanes', 'peak, MiB'],

  async run({ files, folder, load, quick }) {
    if (!files.tokenizer?.hasChatTemplate) throw new Error('the model has no chat template');
    const work = await mkdtemp(join(tmpdir(), 'tiller-chat-'));
    try {
      await writeFile(join(work, 'chat.json'), JSON.stringify([{ role: 'user', content: 'Tell me about the sea in three sentences.' }]));
      await writeFile(join(work, 'graph.json'), JSON.stringify(steering(files.spec)));
      const quantize = ['--quantize', load.quantization ?? 'none'];
      const common = ['generate', '--model', folder, '--engine', 'onnx', ...quantize, '--max-tokens', String(TOKENS)];
      const args = [...common, '--chat', join(work, 'chat.json'), '--graph', join(work, 'graph.json')];
      const starts: ChatResult['starts'][number][] = [];
      const names = ['from the file, packed weights not kept', 'the next', 'the one after, with packed weights'].slice(quick ? 2 : 0);
      for (const name of names) {
        const { wall, peak, timing } = await runCommand(name.endsWith('not kept') ? [...args, '--no-weight-cache'] : args);
        starts.push({
          name,
          loadS: (wall - timing.prefillMs - timing.decodeMs) / 1000,
          promptTokens: timing.promptTokens,
          promptMs: timing.prefillMs,
          tokensPerSecond: (1000 * timing.decodedTokens) / timing.decodeMs,
          peakBytes: peak,
        });
      }
      const command = `npx tiller generate --model MODEL --engine onnx ${quantize.join(' ')} --chat chat.json --graph graph.json --max-tokens ${TOKENS}`;
      return { command, starts, decode: spread(starts.map(({ tokensPerSecond }) => tokensPerSecond)) };
    } finally {
      await rm(work, { recursive: true });
    }
  },

  rows: ({ starts, decode }) => [
    ...starts.map((one) => [
      one.name,
      number(one.loadS),
      `${one.promptTokens} tokens, ${number(one.promptMs)} ms`,
      number(one.tokensPerSecond),
      number(one.peakBytes / 2 ** 20),
    ]),
    ['all', '', '', show(decode), ''],
  ],
};

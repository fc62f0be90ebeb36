import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { number, show, type Measurement } from './measurement.ts';
import { interleave, perSecond, ratios, spread, type Spread } from './spread.ts';

export interface CommandLineResult {
  readonly tokens: number;
  readonly arms: readonly {
    readonly name: string;
    /** Seconds from the start of the process to its end, and to the first byte of text. */
    readonly total: Spread;
    readonly firstText: Spread;
    /** Tokens a second between the two. */
    readonly tokensPerSecond: Spread;
    readonly against: Spread;
  }[];
}

const bin = fileURLToPath(new URL('../runner/tiller.js', import.meta.url));

interface Sample {
  readonly total: number;
  readonly first: number;
}

/** Runs the command as a person would and watches its standard output. */
function timeCommand(args: readonly string[]): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let first = 0;
    let errors = '';
    child.stdout.on('data', () => (first ||= performance.now() - start));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve({ total: performance.now() - start, first });
      else reject(new Error(`tiller ${args.join(' ')} ended with ${status}: ${errors}`));
    });
  });
}

/** What `tiller generate` takes as it is typed, and what it would take with the reference engine instead. */
export const commandLine: Measurement<CommandLineResult> = {
  name: 'command-line',
  title: 'The command line as it is typed',
  of: 'model',
  columns: ['options', 'whole command, s', 'first text, s', 'tokens/s after it', 'whole command against the default'],

  async run(bench) {
    const { files, load } = bench;
    const tokens = bench.quick ? 16 : 64;
    const prompt = files.tokenizer ? ['--prompt', 'Once upon a time'] : null;
    if (prompt === null) throw new Error('the model has no tokenizer');
    const common = ['generate', '--model', bench.folder, ...prompt, '--max-tokens', String(tokens)];
    const quantized = load.quantization && load.quantization !== 'none' ? ['--quantize', load.quantization] : [];
    const arms: Record<string, readonly string[]> = { default: quantized, reference: [...quantized, '--engine', 'reference'] };
    const samples = await interleave(
      Object.fromEntries(Object.entries(arms).map(([name, args]) => [name, () => timeCommand([...common, ...args])])),
      Math.max(1, Math.floor(bench.rounds / 3)),
    );
    return {
      tokens,
      arms: Object.keys(arms).map((name) => {
        const of = (key: keyof Sample, arm: string): number[] => samples[arm].map((sample) => sample[key]);
        return {
          name: arms[name].join(' ') || 'none',
          total: spread(of('total', name).map((ms) => ms / 1000)),
          firstText: spread(of('first', name).map((ms) => ms / 1000)),
          tokensPerSecond: perSecond(
            samples[name].map(({ total, first }) => total - first),
            tokens - 1,
          ),
          against: ratios(of('total', name), of('total', 'default')),
        };
      }),
    };
  },

  rows: ({ arms, tokens }) =>
    arms.map((arm) => [
      `${arm.name} (${number(tokens)} tokens)`,
      show(arm.total),
      show(arm.firstText),
      show(arm.tokensPerSecond),
      show(arm.against, 2),
    ]),
};

import { parseArgs } from 'node:util';
import { TillerError } from '../src/errors/error.ts';

/** One row an option of the command line; verbs name the rows they take. Help and parsing derive from it. */
export interface OptionRow {
  /** What stands for the value in the help; null for a flag without one. */
  readonly value: string | null;
  readonly repeatable?: true;
  readonly doc: string;
}

const rows = {
  model: {
    value: 'M',
    doc: 'a folder in Hugging Face layout (safetensors or ONNX), a GGUF or ONNX file, a known name (`tiller models` lists them), or owner/name[@revision][:file] on the hub, downloaded once',
  },
  engine: {
    value: 'auto|webgpu|onnx|reference|remote',
    doc: 'what runs the model; auto: WebGPU where there is a GPU, else ONNX Runtime on the CPU; remote: the runner of --runner, and --model names one of its models',
  },
  quantize: { value: 'none|q8|q4', doc: 'how weights are kept on the device; none: as stored (none; known models have their own default)' },
  precision: {
    value: 'auto|f32|f16',
    doc: 'arithmetic; auto: f16 where a GPU has it and the weights are 16 bits or fewer; on the CPU, quantised weights are met with int8 activations where text is generated, and with f32 where something is measured',
  },
  context: { value: 'N', doc: 'tokens of the longest sequence that memory is counted for (4096, or what the model takes)' },
  lanes: { value: 'N', doc: 'sequences side by side that memory is counted for, the unedited one among them (2)' },
  memory: { value: 'BYTES', doc: 'memory to plan for, such as 24GiB or 8e9; what the machine has free where it is not given' },
  'no-weight-cache': { value: null, doc: 'neither read nor keep packed weights beside the model (TILLER_WEIGHT_CACHE=off does the same)' },
  anyway: { value: null, doc: 'load the model even where it does not fit by the count' },
  prompt: { value: 'TEXT', doc: 'text to go on from' },
  chat: { value: 'FILE', doc: 'JSON list of messages, [{"role": "user", "content": "..."}], put into the model\'s chat template' },
  tokens: { value: 'FILE', doc: 'JSON, [[1, 2, 3], ...] or [{"ids": [1, 2, 3], "promptLength": 2}, ...]: token ids, used as they are' },
  graph: { value: 'G.json', doc: 'intervention graph; its vectors are read from G.safetensors beside it' },
  factor: { value: 'F', repeatable: true, doc: 'factor on every strength of the graph (1)' },
  'max-tokens': { value: 'N', doc: 'tokens to generate at most (64, or fewer where the context ends)' },
  temperature: { value: 'T', doc: 'randomness of sampling; 0 is greedy (0)' },
  'top-k': { value: 'K', doc: 'sample from the K most likely tokens; 0: from all (0)' },
  'top-p': { value: 'P', doc: 'sample from the most likely tokens that together have probability P (1)' },
  seed: { value: 'S', doc: 'seed of the random stream, shared by all lanes (0)' },
  points: { value: 'z,resid_post', doc: 'points to capture, all layers; `z:3,5` or `z:3-5` takes layers 3 and 5, or 3 to 5' },
  at: { value: 'all|last|SELECTOR', doc: 'positions to keep or to patch: a word or a selector in JSON, as in graphs (all)' },
  clean: { value: 'TEXT', doc: 'prompt whose activations are put into the other one' },
  corrupted: { value: 'TEXT', doc: 'prompt that is patched: as many tokens as the clean one, and asking for another answer' },
  wanted: { value: 'TEXT', doc: 'what the clean prompt asks for; a space in front is added where there is none' },
  unwanted: { value: 'TEXT', doc: 'what the corrupted prompt asks for' },
  count: { value: 'K', doc: 'places in the graph that is written, the strongest first (4)' },
  out: { value: 'FILE', doc: 'file to write' },
  data: {
    value: 'FILE',
    doc: 'examples: CSV, TSV, JSONL, JSON, Parquet, or lines of text; the name of one of the built-in sets also works',
  },
  kind: { value: 'KIND', doc: 'what the examples are, where it cannot be seen: labelled, pairs, questions, choices, continuations' },
  column: { value: 'FIELD=NAME', repeatable: true, doc: 'which column holds a field of the examples, such as text=review or label=stars' },
  set: {
    value: 'NAME=VALUE',
    repeatable: true,
    doc: 'a setting of the method, such as alpha=15; `tiller help fit` lists methods and settings',
  },
  template: { value: 'none|chat', doc: "whether examples are put into the model's chat template (none)" },
  token: {
    value: 'last|answer-last|answer-first|-N',
    doc: 'which token is read: the last one, the last or first of the answer, or the Nth from the end (last)',
  },
  split: {
    value: 'fractions|half-0|half-1',
    doc: 'how groups of examples are divided; half-0 and half-1 test on a contiguous half, as ITI does (fractions)',
  },
  validation: { value: 'F', doc: 'share of the groups that settings are chosen on (0.2)' },
  test: { value: 'F', doc: 'share of the groups that the chosen point is tested on, once (0.2)' },
  limit: { value: 'N', doc: 'use at most N examples, taken by seed (all)' },
  behaviour: {
    value: 'TEXT',
    repeatable: true,
    doc: 'for ablation: words that the behaviour begins with, by which the direction is chosen',
  },
  'no-sweep': { value: null, doc: 'fit only, measure nothing' },
  strengths: { value: 'A,B,...', doc: "strengths to try, as factors on the method's own dose (0.125,0.25,0.5,1,1.5,2)" },
  counts: { value: 'K,L,...', doc: "numbers of places to try, the best first (a quarter of the method's own number, half, all, twice)" },
  layers: { value: 'L,M,...', doc: 'fit at each of these layers and compare them in one sweep, for methods with a setting `layer`' },
  seeds: { value: 'N', doc: 'repeat the whole fit with N seeds, from --seed on, and report mean and standard deviation over them (1)' },
  effect: { value: 'NAME', doc: 'what is measured as the effect; auto: what suits the examples (auto)' },
  neutral: {
    value: 'general|stories|FILE',
    doc: 'neutral texts that damage is measured on; a file has one text a line, or is JSONL (general)',
  },
  'kl-budget': { value: 'N', doc: 'KL to the unedited model, in nats a token, that the recommended point may cost (0.1)' },
  'no-controls': { value: null, doc: 'leave out the controls: random direction, shuffled places, flipped sign' },
  instruction: { value: 'TEXT', doc: 'one more control: the unedited model with this instruction in front of every test text' },
  samples: { value: 'N', doc: 'test prompts that are continued, to see how repetitive the text becomes (8)' },
  primer: { value: 'none|qa|FILE', doc: 'text in front of every question; qa: six questions and answers of our own (qa)' },
  'max-length': { value: 'N', doc: 'tokens of each neutral text that are used at most (128)' },
  export: {
    value: 'gguf|pyvene|steering-vectors',
    repeatable: true,
    doc: 'also write the vectors in a format of other programs, with a receipt',
  },
  results: { value: 'DIR', doc: 'where captures and finished parts are kept, so that a run that was killed goes on (the cache folder)' },
  runner: { value: 'URL', doc: 'do it on the runner at this address; --model is then the name of one of its models' },
  'runner-token': {
    value: 'TOKEN',
    doc: "the runner's token, where it wants one; the variable TILLER_RUNNER_TOKEN keeps it out of the list of processes",
  },
  again: { value: null, doc: 'with --runner: begin the job again where the same one failed or was cancelled' },
  models: {
    value: 'FOLDER',
    repeatable: true,
    doc: 'folder of models, or of one model; nothing outside of it is served (the embedded model)',
  },
  address: { value: 'A', doc: "address to listen at; any but this machine's own (127.0.0.1) needs a token, and one is made (127.0.0.1)" },
  port: { value: 'N', doc: 'port to listen at; 0 takes a free one (4600)' },
  'token-file': { value: 'FILE', doc: 'file with the token that clients must have; the variable TILLER_RUNNER_TOKEN does the same' },
  'tls-cert': { value: 'FILE', doc: 'certificate chain in PEM, for https; needs --tls-key' },
  'tls-key': { value: 'FILE', doc: 'private key in PEM' },
  origin: {
    value: 'URL',
    repeatable: true,
    doc: 'a page that may use the runner, beside those of `npm start` and `npm run dev` on this machine',
  },
  'host-name': {
    value: 'NAME',
    repeatable: true,
    doc: 'a name that the runner answers to, beside localhost and numbers; with a token it answers to all',
  },
  loaded: { value: 'N', doc: 'models kept in memory at once; the one that was used longest ago gives way (2)' },
  'max-context': { value: 'N', doc: 'tokens that one sequence may have (4096, or what the model takes)' },
  'stuck-after': { value: 'SECONDS', doc: 'an engine whose work does not move for so long is started again (600)' },
  'client-timeout': { value: 'SECONDS', doc: 'a client that neither reads nor writes for so long is let go (60)' },
  database: {
    value: 'URL',
    doc: 'postgres://... where jobs are kept, which several runners may share (an embedded database in the folder of --results)',
  },
  'keep-days': { value: 'N', doc: 'ended jobs, their units and vectors are removed after so many days; 0: never (30)' },
  'keep-jobs': { value: 'N', doc: 'ended jobs that are kept at most, the newest; 0: any number (1000)' },
  rate: { value: 'N', doc: 'requests of one client in a minute (1200)' },
  log: {
    value: 'quiet|requests|prompts',
    doc: 'what is logged on standard error: trouble, a line a request, token ids of prompts too (quiet)',
  },
  file: {
    value: 'FILE|KIND',
    doc: 'the weights to take where a repository has several: a file, or a kind such as q4f16 or Q4_K_M (the one that keeps most in at most 2 GB)',
  },
  revision: { value: 'REVISION', doc: 'branch, tag or commit of the repository (main)' },
  json: { value: null, doc: 'one JSON document on standard output and nothing else there' },
  help: { value: null, doc: 'this text' },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof rows;
export const optionRows: Readonly<Record<OptionName, OptionRow>> = rows;

export const usage = (problem: string): TillerError => new TillerError('usage', { problem });

/** Options of one call, by name. */
export class Options {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #flags: ReadonlySet<string>;
  /** Words after the verb that belong to no option. */
  readonly words: readonly string[];

  constructor(values: ReadonlyMap<string, readonly string[]>, flags: ReadonlySet<string>, words: readonly string[]) {
    this.#values = values;
    this.#flags = flags;
    this.words = words;
  }

  flag(name: OptionName): boolean {
    return this.#flags.has(name);
  }

  all(name: OptionName): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  text(name: OptionName): string | null {
    return this.all(name)[0] ?? null;
  }

  needed(name: OptionName): string {
    const value = this.text(name);
    if (value === null) throw usage(`--${name} ${optionRows[name].value} is needed`);
    return value;
  }

  choice<T extends string>(name: OptionName, values: readonly T[], otherwise: T): T {
    const given = this.text(name) ?? otherwise;
    const found = values.find((value) => value === given);
    if (found === undefined) throw usage(`--${name} is "${given}", expected one of ${values.join(', ')}`);
    return found;
  }

  /** Finite numbers within bounds. */
  numbers(name: OptionName, low = -Infinity, high = Infinity): readonly number[] {
    return this.all(name).map((text) => {
      const value = text.trim() === '' ? NaN : Number(text);
      if (!Number.isFinite(value) || value < low || value > high)
        throw usage(`--${name} is "${text}", expected a number${bounds(low, high)}`);
      return value;
    });
  }

  number(name: OptionName, low?: number, high?: number): number | undefined {
    return this.numbers(name, low, high)[0];
  }

  integer(name: OptionName, low: number, high = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.number(name, low, high);
    if (value !== undefined && !Number.isInteger(value)) throw usage(`--${name} is ${value}, expected a whole number`);
    return value;
  }
}

function bounds(low: number, high: number): string {
  if (low === -Infinity && high === Infinity) return '';
  return high === Infinity || high === Number.MAX_SAFE_INTEGER ? ` of at least ${low}` : ` from ${low} to ${high}`;
}

/** `--factor -2` is a value, not an option: parseArgs wants it as `--factor=-2`. */
function joinDashValues(argv: readonly string[], allowed: readonly OptionName[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const name = allowed.find((option) => argv[i] === `--${option}`);
    const next = argv[i + 1] as string | undefined;
    const takesValue = name !== undefined && optionRows[name].value !== null;
    if (takesValue && next !== undefined && /^-(?!-)/.test(next)) {
      joined.push(`${argv[i]}=${next}`);
      i++;
    } else joined.push(argv[i]);
  }
  return joined;
}

/** @throws usage where an option is unknown, repeated without being repeatable, lacks its value, or where a word is left over */
export function parseOptions(verb: string, argv: readonly string[], allowed: readonly OptionName[], maxWords = 0): Options {
  const config = Object.fromEntries(
    allowed.map((name) => [name, { type: optionRows[name].value === null ? ('boolean' as const) : ('string' as const) }]),
  );
  let tokens;
  try {
    ({ tokens } = parseArgs({ args: joinDashValues(argv, allowed), options: config, strict: true, allowPositionals: true, tokens: true }));
  } catch (error) {
    const [sentence] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
    throw usage(`${sentence.replace(/\.$/, '')} (tiller ${verb})`);
  }
  const values = new Map<string, string[]>();
  const flags = new Set<string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional' && words.push(token.value) > maxWords) throw usage(`unexpected "${token.value}" (tiller ${verb})`);
    if (token.kind !== 'option') continue;
    if (token.value === undefined) {
      flags.add(token.name);
      continue;
    }
    const given = values.get(token.name) ?? [];
    if (given.length > 0 && !optionRows[token.name as OptionName].repeatable) throw usage(`--${token.name} is given twice`);
    values.set(token.name, [...given, token.value]);
  }
  return new Options(values, flags, words);
}

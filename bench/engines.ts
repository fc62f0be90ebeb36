import { loadavg } from 'node:os';
import { join } from 'node:path';
import { storyTexts } from '../src/evals/neutral-stories.ts';
import { parameterCount } from '../src/model/memory.ts';
import { number, promptIds, show, type Bench, type Measurement, type Row } from './measurement.ts';
import { armsFor, isLarge, rivals, type Arm } from './peers/arms.ts';
import { BrowserContestant, PageServer } from './peers/browser-contestant.ts';
import { NodeContestant, type MeasuredTurn } from './peers/node-contestant.ts';
import { preparedFolder, preparedModel } from './peers/prepared-model.ts';
import { perSecond, ratios, spread, type Spread } from './spread.ts';
import { versionOf } from './versions.ts';

/** One contestant's numbers. */
export interface ArmResult {
  readonly name: string;
  readonly kind: Arm['kind'];
  readonly place: Arm['place'];
  readonly detail: string;
  readonly notes: readonly string[];
  readonly loadMs: number;
  readonly decode: Spread;
  /** Tokens a second of processor time; null where that is not known. */
  readonly decodeCpu: Spread | null;
  readonly prefill: Spread;
  readonly firstMs: Spread;
  readonly peakBytes: number;
  /** Tokens that agree with the yardstick's, of so many: of all that follow the same tokens, the first disagreement of a round included. */
  readonly agreed: number;
  readonly compared: number;
}

export interface EnginesResult {
  readonly promptTokens: number;
  readonly tokens: number;
  readonly rounds: number;
  /** Whose tokens the others are compared with. */
  readonly yardstick: string;
  readonly chromium: string | null;
  readonly arms: readonly ArmResult[];
  /** The best of ours of a kind and place against the best of a rival's: decoding speed of the one divided by the other's, round by round. */
  readonly versus: readonly { readonly name: string; readonly against: string; readonly ratio: Spread; readonly cpuRatio: Spread | null }[];
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
}

interface Runner {
  open: NodeContestant['open'];
  turn: NodeContestant['turn'];
  close(): Promise<void>;
}

interface Present {
  readonly arm: Arm;
  readonly runner: Runner;
  readonly detail: string;
  readonly notes: readonly string[];
  readonly loadMs: number;
  readonly turns: MeasuredTurn[];
}

/**
 * Prompts of exactly `length` tokens, another for every round, so that nobody's cache helps: running text where there is a tokenizer,
 * else tokens without meaning.
 */
function promptsOf({ files }: Bench, length: number, rounds: number): number[][] {
  const { bosId, vocab } = files.spec;
  const text = files.tokenizer?.encode(storyTexts.join(' '), { special: false }) ?? [];
  return Array.from({ length: rounds }, (_, round) => {
    const from = round * 11;
    if (text.length < from + length) return promptIds(vocab, length, round, bosId);
    return bosId === null ? text.slice(from, from + length) : [bosId, ...text.slice(from, from + length - 1)];
  });
}

const message = (error: unknown): string => (error instanceof Error ? error.message.split('\n')[0] : String(error));

/** Agreement of what follows equal tokens: up to and with the first disagreement, behind which prompts differ. */
function agreement(turns: readonly MeasuredTurn[], truth: readonly MeasuredTurn[]): { agreed: number; compared: number } {
  let agreed = 0;
  let compared = 0;
  turns.forEach(({ ids }, round) => {
    const differs = ids.findIndex((id, at) => id !== truth[round].ids[at]);
    agreed += differs < 0 ? ids.length : differs;
    compared += differs < 0 ? ids.length : differs + 1;
  });
  return { agreed, compared };
}

export const engines: Measurement<EnginesResult> = {
  name: 'engines',
  title: 'Engines beside each other',
  of: 'model',
  columns: [
    'engine',
    'decode, tokens/s',
    'tokens a second of processor time',
    'prompt, tokens/s',
    'first token, ms',
    'loading, s',
    'peak, MiB',
    'agrees',
    'against',
  ],

  async run(bench) {
    const { files, load, device } = bench;
    const say = (line: string): void => bench.say(line);
    const parameters = parameterCount(files.spec);
    const quantization = load.quantization ?? 'none';
    const named = process.env.TILLER_BENCH_ARMS?.split('|');
    const wanted = armsFor(device, parameters).filter(({ name }) => named?.some((part) => name.includes(part)) ?? true);
    const model = await preparedModel(files, quantization, say);
    // SwiftShader computes a tenth of what lavapipe does, and a billion parameters take a CPU a tenth of a second a token.
    const slow = device === 'swiftshader';
    const tokens = slow ? 12 : bench.quick ? 16 : isLarge(parameters) ? 24 : 48;
    const promptTokens = bench.quick || slow ? 32 : 128;
    const rounds = Math.min(bench.rounds, slow || isLarge(parameters) ? 3 : 5);
    const absent: { name: string; reason: string }[] = [];
    const present: Present[] = [];
    let chromium: string | null = null;
    let server: PageServer | null = null;
    try {
      if (wanted.some(({ place }) => place === 'Chromium')) server = await PageServer.start(preparedFolder);
      for (const arm of wanted) {
        try {
          const runner = arm.place === 'Node' || server === null ? new NodeContestant() : await BrowserContestant.start(server);
          if (runner instanceof BrowserContestant) chromium = runner.version;
          const place = arm.place === 'Node' ? join(preparedFolder, model) : `/models/${model}`;
          try {
            const opened = await runner.open({ kind: arm.kind, quantization, threads: arm.threads, model: place });
            const detail = arm.kind === 'wllama' ? opened.detail.replace('wllama', `wllama ${versionOf('@wllama/wllama')}`) : opened.detail;
            present.push({ arm, runner, ...opened, detail, turns: [] });
            say(`${arm.name}: ${opened.detail}`);
          } catch (error) {
            await runner.close();
            throw error;
          }
        } catch (error) {
          absent.push({ name: arm.name, reason: message(error) });
          say(`${arm.name} is absent: ${message(error)}`);
        }
      }
      await takeTurns(bench, present, absent, promptsOf(bench, promptTokens, rounds + 1), tokens);
    } finally {
      for (const { runner } of present) await runner.close();
      server?.close();
    }
    const yardstick = present.find(({ arm }) => arm.kind === 'tiller-onnx') ?? present[0];
    if (!yardstick) throw new Error(`nobody is there: ${absent.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`);
    return {
      promptTokens,
      tokens,
      rounds,
      yardstick: yardstick.arm.name,
      chromium,
      arms: present.map((one) => resultOf(one, yardstick, promptTokens, tokens)),
      versus: versusOf(present, tokens),
      absent,
    };
  },

  rows: ({ arms, versus, absent, yardstick }): Row[] => [
    ...arms.map((arm) => [
      arm.name,
      show(arm.decode),
      arm.decodeCpu ? show(arm.decodeCpu) : '',
      show(arm.prefill),
      show(arm.firstMs),
      number(arm.loadMs / 1000),
      number(arm.peakBytes / 2 ** 20),
      arm.name === yardstick ? 'the yardstick' : `${number((100 * arm.agreed) / arm.compared)} % of ${arm.compared}`,
      versus
        .filter(({ name }) => name === arm.name)
        .map(
          ({ against, ratio, cpuRatio }) => `${show(ratio, 2)} x ${against}${cpuRatio ? `; in processor time ${show(cpuRatio, 2)} x` : ''}`,
        )
        .join('<br>'),
    ]),
    ...absent.map(({ name, reason }) => [name, `absent: ${reason}`, '', '', '', '', '', '', '']),
  ],
};

/** Times as slow as the same engine with other threads, beyond which an arm is not run again. */
const HOPELESS = 4;

/** Rounds of everybody in turn, each beginning with another; the first round is for warming up. Who fails is absent from then on. */
async function takeTurns(
  bench: Bench,
  present: Present[],
  absent: { name: string; reason: string }[],
  prompts: readonly (readonly number[])[],
  tokens: number,
): Promise<void> {
  const first = new Map<Present, number>();
  const leave = async (one: Present, reason: string): Promise<void> => {
    absent.push({ name: one.arm.name, reason });
    present.splice(present.indexOf(one), 1);
    await one.runner.close();
  };
  for (const [round, prompt] of prompts.entries()) {
    const order = present.map((_, at) => present[(at + round) % present.length]);
    for (const one of order) {
      try {
        const turn = await one.runner.turn(prompt, tokens);
        if (round === 0) first.set(one, turn.restMs);
        else one.turns.push(turn);
      } catch (error) {
        await leave(one, message(error));
      }
    }
    // A number of threads that the machine has no room for would take most of the time and never be the best of its kind.
    for (const one of round === 0 ? order : []) {
      const least = Math.min(
        ...[...first].filter(([{ arm }]) => arm.kind === one.arm.kind && arm.place === one.arm.place).map(([, ms]) => ms),
      );
      const times = (first.get(one) ?? least) / least;
      if (times > HOPELESS)
        await leave(one, `left out after one round, in which it took ${number(times)} times as long as with the other number of threads`);
    }
    bench.say(`round ${round} of ${prompts.length - 1}, load ${loadavg()[0].toFixed(1)}`);
  }
}

const perToken = (turns: readonly MeasuredTurn[], tokens: number): number[] => turns.map(({ restMs }) => restMs / (tokens - 1));

/** Null where processor time is not known. */
function cpuPerToken(turns: readonly MeasuredTurn[], tokens: number): number[] | null {
  const times = turns.flatMap(({ restCpuMs }) => (restCpuMs === null ? [] : [restCpuMs / (tokens - 1)]));
  return times.length === turns.length ? times : null;
}

function resultOf(one: Present, yardstick: Present, promptTokens: number, tokens: number): ArmResult {
  const { arm, detail, notes, loadMs, turns } = one;
  const first = turns.map(({ firstMs }) => firstMs);
  const cpu = cpuPerToken(turns, tokens);
  return {
    name: arm.name,
    kind: arm.kind,
    place: arm.place,
    detail,
    notes,
    loadMs,
    decode: perSecond(perToken(turns, tokens)),
    decodeCpu: cpu && perSecond(cpu),
    prefill: perSecond(first, promptTokens),
    firstMs: spread(first),
    peakBytes: Math.max(...turns.map(({ peak }) => peak)),
    ...agreement(turns, yardstick.turns),
  };
}

/** The one with the best median decoding speed of a kind in a place. */
function best(present: readonly Present[], kind: Arm['kind'], place: Arm['place'], tokens: number): Present | null {
  const of = present.filter(({ arm }) => arm.kind === kind && arm.place === place);
  const speed = (one: Present): number => perSecond(perToken(one.turns, tokens)).median;
  return of.reduce<Present | null>((a, b) => (a === null || speed(b) > speed(a) ? b : a), null);
}

function versusOf(present: readonly Present[], tokens: number): EnginesResult['versus'] {
  return rivals.flatMap(({ kind, place, rivals: theirs }) => {
    const own = best(present, kind, place, tokens);
    return theirs.flatMap((rival) => {
      const other = best(present, rival, place, tokens);
      if (!own || !other) return [];
      const [a, b] = [cpuPerToken(own.turns, tokens), cpuPerToken(other.turns, tokens)];
      return [
        {
          name: own.arm.name,
          against: other.arm.name,
          ratio: ratios(perToken(other.turns, tokens), perToken(own.turns, tokens)),
          cpuRatio: a && b && ratios(b, a),
        },
      ];
    });
  });
}

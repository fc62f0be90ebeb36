import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { softplus } from '../src/stats/logistic.ts';
import { fitProbes, type Probes } from '../src/stats/probes.ts';
import { normal, seededRandom } from '../src/stats/random.ts';
import { number, show, type Measurement } from './measurement.ts';
import { interleave, ratios, spread, type Spread } from './spread.ts';

export interface ProbesResult {
  readonly rows: number;
  readonly width: number;
  readonly seeds: number;
  /** Heads fitted in each round; times are linear in it. */
  readonly heads: number;
  readonly kernels: Probes['kernels'];
  readonly cpu: string;
  /** Milliseconds a head with all its seeds, on the clock and of processor time. */
  readonly wall: Spread;
  readonly processor: Spread;
  readonly passes: number;
  /** Null where there is no scikit-learn. */
  readonly peer: {
    readonly version: string;
    readonly wall: Spread;
    readonly processor: Spread;
    /** Their time divided by ours, round by round. */
    readonly wallRatio: Spread;
    readonly processorRatio: Spread;
    /** Largest relative lead of their objective over ours, and of ours over theirs: positive is worse for whoever it is of. */
    readonly ourExcess: number;
    readonly theirExcess: number;
    /** Validation rows a fit that are told otherwise, at most, of so many. */
    readonly validationDifference: number;
    readonly validationRows: number;
  } | null;
}

interface Data {
  readonly features: Float32Array;
  readonly labels: Uint8Array;
  readonly train: Uint8Array[];
  readonly validation: Uint8Array[];
}

interface Sample {
  readonly wall: number;
  readonly processor: number;
}
interface Answer extends Sample {
  /** Of [seed][head]: coefficients, intercept, validation rows told right, iterations. */
  readonly fits: readonly (readonly number[])[];
}

/** Heads from useless to nearly perfect, features of unequal size and with a mean, as activations are. */
function makeData(rows: number, heads: number, width: number, seeds: number): Data {
  const random = seededRandom(1);
  const labels = Uint8Array.from({ length: rows }, () => (random() < 0.5 ? 1 : 0));
  const directions = Float64Array.from({ length: heads * width }, () => normal(random));
  const features = Float32Array.from({ length: rows * heads * width }, (_, i) => {
    const column = i % (heads * width);
    const apart = (0.25 * (Math.floor(column / width) % 16)) / 16;
    const side = labels[Math.floor(i / (heads * width))] === 1 ? 1 : -1;
    return (0.2 + (column % 8) / 4) * normal(random) + side * apart * directions[column] + 1;
  });
  const train = Array.from({ length: seeds }, () => Uint8Array.from({ length: rows }, () => (random() < 0.8 ? 1 : 0)));
  return { features, labels, train, validation: train.map((mask) => mask.map((one) => 1 - one)) };
}

/** |weights|^2 / 2 + log losses. */
function objective({ features, labels, train }: Data, heads: number, width: number, at: number, fit: ArrayLike<number>): number {
  const head = at % heads;
  const mask = train[Math.floor(at / heads)];
  let sum = 0;
  for (let k = 0; k < width; k++) sum += (fit[k] * fit[k]) / 2;
  for (let row = 0; row < labels.length; row++) {
    if (!mask[row]) continue;
    let z = fit[width];
    for (let k = 0; k < width; k++) z += fit[k] * features[(row * heads + head) * width + k];
    sum += softplus(labels[row] === 1 ? -z : z);
  }
  return sum;
}

/** scikit-learn in a process of its own, one thread as ours; null where it is not installed. */
async function startPeer() {
  const script = fileURLToPath(new URL('probes_peer.py', import.meta.url));
  const one = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
  for (const python of [process.env.TILLER_BENCH_PYTHON, 'python3', '/usr/bin/python3'].filter((name) => name !== undefined)) {
    const child = spawn(python, [script], { env: { ...process.env, ...one }, stdio: ['pipe', 'pipe', 'ignore'] });
    const failed = new Promise<null>((resolve) => child.once('error', () => resolve(null)));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([failed, lines.next()]);
    if (first === null || first.done) continue;
    return {
      version: (JSON.parse(first.value) as Record<string, string>)['scikit-learn'],
      ask: async (request: object): Promise<Answer> => {
        child.stdin.write(`${JSON.stringify(request)}\n`);
        const line = await lines.next();
        if (line.done) throw new Error('scikit-learn ended before it answered');
        return JSON.parse(line.value) as Answer;
      },
      stop: () => child.stdin.end(),
    };
  }
  return null;
}

/** Logistic probes of every head for several seeds, against scikit-learn on the same rows: no device takes part. */
export const probes: Measurement<ProbesResult> = {
  name: 'probes',
  title: 'Probes',
  of: 'device',
  columns: [
    'processor',
    'rows x width x seeds',
    'ms a head, all seeds',
    'processor time, ms',
    'scikit-learn, ms',
    'scikit-learn, processor time, ms',
    'times faster',
    'times less processor time',
    'excess of the objective over the lower of both: ours, scikit-learn',
    'validation rows told otherwise, at most',
  ],

  async run(bench) {
    const [rows, width, seeds, heads] = [4000, 64, 5, bench.quick ? 16 : 64];
    const data = makeData(rows, heads, width, seeds);
    const peer = await startPeer();
    const folder = await mkdtemp(join(tmpdir(), 'tiller-probes-'));
    try {
      const files = { features: join(folder, 'features'), labels: join(folder, 'labels'), masks: join(folder, 'masks') };
      await writeFile(files.features, data.features);
      await writeFile(files.labels, data.labels);
      await writeFile(files.masks, Buffer.concat(data.train));
      let ours: Probes | null = null;
      let theirs: Answer | null = null;
      const run = async (): Promise<Sample> => {
        const used = process.cpuUsage();
        const start = performance.now();
        ours = await fitProbes({ ...data, heads, headDim: width });
        const wall = performance.now() - start;
        const { user, system } = process.cpuUsage(used);
        return { wall, processor: (user + system) / 1000 };
      };
      const ask = async (): Promise<Sample> => (theirs = await peer!.ask({ ...files, rows, heads, width }));
      const arms: Record<string, () => Promise<Sample>> = peer ? { ours: run, theirs: ask } : { ours: run };
      const samples = await interleave(arms, bench.rounds);
      const of = (name: string, key: keyof Sample): number[] => samples[name].map((sample) => sample[key] / heads);
      const mine = ours!;
      return {
        rows,
        width,
        seeds,
        heads,
        kernels: mine.kernels,
        cpu: cpus()[0]?.model ?? 'unknown',
        wall: spread(of('ours', 'wall')),
        processor: spread(of('ours', 'processor')),
        passes: mine.iterations.reduce((sum, count) => sum + count, 0) / mine.iterations.length,
        peer: peer && {
          version: peer.version,
          wall: spread(of('theirs', 'wall')),
          processor: spread(of('theirs', 'processor')),
          wallRatio: ratios(of('theirs', 'wall'), of('ours', 'wall')),
          processorRatio: ratios(of('theirs', 'processor'), of('ours', 'processor')),
          ...compare(data, mine, theirs!),
        },
      };
    } finally {
      peer?.stop();
      await rm(folder, { recursive: true });
    }
  },

  rows: ({ cpu, rows, width, seeds, wall, processor, peer }) => [
    [
      cpu,
      `${rows} x ${width} x ${seeds}`,
      show(wall),
      show(processor),
      ...(peer
        ? [
            `${show(peer.wall)} (${peer.version})`,
            show(peer.processor),
            show(peer.wallRatio),
            show(peer.processorRatio),
            `${peer.ourExcess.toExponential(1)}, ${peer.theirExcess.toExponential(1)}`,
            `${number(peer.validationDifference, 0)} of ${peer.validationRows}`,
          ]
        : ['scikit-learn is not installed', '', '', '', '', '']),
    ],
  ],
};

function compare(data: Data, ours: Probes, theirs: Answer) {
  const { heads, headDim: width, validationRows } = ours;
  let [ourExcess, theirExcess, validationDifference] = [0, 0, 0];
  theirs.fits.forEach((fit, at) => {
    const own = [...ours.weights.subarray(at * width, (at + 1) * width), ours.intercepts[at]];
    const [a, b] = [objective(data, heads, width, at, own), objective(data, heads, width, at, fit)];
    const least = Math.min(a, b);
    ourExcess = Math.max(ourExcess, a / least - 1);
    theirExcess = Math.max(theirExcess, b / least - 1);
    validationDifference = Math.max(validationDifference, Math.abs(ours.validationRight[at] - fit[width + 1]));
  });
  return { ourExcess, theirExcess, validationDifference, validationRows: validationRows[0] };
}

import type { DecodeResult } from './decode.ts';
import type { BandwidthResult } from './bandwidth.ts';
import type { EnginesResult } from './engines.ts';
import type { ShapesFile } from './shapes-result.ts';
import { number, show, type Row } from './measurement.ts';
import { measurements } from './measurements.ts';
import { showRatio } from './steering.ts';
import type { BenchModel, Measured, ResultFile } from './results.ts';

const table = (head: Row, rows: readonly Row[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const quantized = { none: 'as stored', q8: 'int8', q4: 'int4' } as const;
const modelName = (model: BenchModel): string => `${model.name}, ${quantized[model.quantization]}, ${model.precision}`;

interface Found {
  readonly file: ResultFile;
  readonly model: BenchModel | null;
  readonly measured: Measured;
}

const find = (files: readonly ResultFile[], name: string): Found[] =>
  files.flatMap((file) =>
    file.runs.flatMap((run) => (name in run.measurements ? [{ file, model: run.model, measured: run.measurements[name] }] : [])),
  );

/** How much of the device's copy bandwidth decoding uses: bytes that a step must read, times steps a second. */
function traffic(files: readonly ResultFile[]): string {
  const rows = find(files, 'decode').flatMap(({ file, model, measured }): Row[] => {
    const copied = find([file], 'bandwidth').at(0);
    if (!model || !copied) return [];
    const decode = measured.result as DecodeResult;
    const { copy } = copied.measured.result as BandwidthResult;
    return decode.lanes.map(({ lanes, step }) => {
      const bytes = decode.weightBytes + lanes * decode.cacheBytes;
      const rate = bytes / (step.median / 1000);
      return [
        file.device,
        modelName(model),
        String(lanes),
        `${number(bytes / 1e6)} MB`,
        `${number(rate / 1e9)} GB/s`,
        `${number(copy.median / 1e9)} GB/s`,
        `${number((100 * rate) / copy.median)} %`,
      ];
    });
  });
  return table(['adapter', 'model', 'lanes', 'bytes read a step', 'read a second', 'copy bandwidth', 'share'], rows);
}

function adapters(files: readonly ResultFile[]): string {
  return table(
    ['adapter', 'its name', 'kind', 'machine'],
    files.map(({ device, adapter, machine }) => [
      device,
      adapter.name,
      adapter.kind,
      `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    ]),
  );
}

function contexts(files: readonly ResultFile[]): string {
  const rows = measurements.flatMap(({ name }) =>
    find(files, name).map(({ file, model, measured: { context } }): Row => [
      name,
      file.device,
      model ? modelName(model) : '',
      context.date,
      `tiller ${context.versions.tiller}, webgpu ${context.versions.webgpu}, Node ${context.versions.node}`,
      context.load.map((value) => value.toFixed(1)).join(' to '),
      String(context.rounds),
    ]),
  );
  return table(['measurement', 'adapter', 'model', 'day', 'versions', 'load of the machine', 'rounds'], rows);
}

function shapes(file: ShapesFile | null): string {
  const mib = (bytes: number): string => number(bytes / 2 ** 20);
  return table(
    [
      'model',
      'adapter',
      'weights on the GPU, MiB',
      'GPU peak, MiB',
      'process peak, MiB',
      'largest binding allowed, MiB',
      'matrices split',
      'loading, s',
      'prompt of 8 tokens, s',
      's a token',
      'weights read, GB/s, of copying',
      'with 48 heads steered',
      'versions, day, load',
    ],
    (file?.models ?? []).map((one) => {
      const steered = one.steering?.arms.find(({ name }) => name === '48 heads');
      return [
        `${one.name}, ${quantized[one.quantization]}`,
        one.adapter,
        mib(one.weightBytes),
        mib(one.peakBytes),
        mib(one.residentBytes),
        mib(one.bindingLimit),
        one.split.map(({ label, parts }) => `${label}: ${parts}`).join(', ') || 'none',
        number(one.loadMs / 1000),
        number(one.firstTokenMs / 1000),
        number(one.stepMs / 1000),
        one.readBytes !== undefined && one.copyBytesPerSecond !== undefined
          ? `${number(one.readBytes / one.stepMs / 1e6)} of ${number(one.copyBytesPerSecond / 1e9)}`
          : '',
        steered
          ? `${showRatio(steered.overhead)}; processor time ${showRatio(steered.processor)}; edits alone ${steered.alone ? show(steered.alone) : ''} ms`
          : '',
        `tiller ${one.context.versions.tiller}, webgpu ${one.context.versions.webgpu}, Node ${one.context.versions.node}, ${one.context.date}, ${one.context.load.map((value) => value.toFixed(1)).join(' to ')}`,
      ];
    }),
  );
}

/** Versions and settings of the engines that were measured beside each other. */
function contestants(files: readonly ResultFile[]): string {
  const rows = find(files, 'engines').flatMap(({ file, model, measured }): Row[] => {
    const { arms, chromium, promptTokens, tokens } = measured.result as EnginesResult;
    const details = [...new Set(arms.map(({ detail }) => detail))];
    if (chromium !== null) details.push(`Chromium ${chromium}`);
    return [[file.device, model ? modelName(model) : '', `${promptTokens} + ${tokens}`, details.join('; ')]];
  });
  return table(['adapter', 'model', 'prompt + new tokens', 'who took part'], rows);
}

/** Parts of docs/benchmarks.md, by name. */
export function reportParts(files: readonly ResultFile[], shapesFile: ShapesFile | null): Record<string, string> {
  const parts: Record<string, string> = {
    adapters: adapters(files),
    traffic: traffic(files),
    contexts: contexts(files),
    contestants: contestants(files),
    shapes: shapes(shapesFile),
  };
  for (const { name, of, columns, rows } of measurements) {
    const head = of === 'model' ? ['adapter', 'model', ...columns] : ['adapter', ...columns];
    parts[name] = table(
      head,
      find(files, name).flatMap(({ file, model, measured }) =>
        rows(measured.result).map((row) => [file.device, ...(of === 'model' ? [model ? modelName(model) : ''] : []), ...row]),
      ),
    );
  }
  return parts;
}

/** The page with its made parts put in anew. A part that nothing makes is an error. */
export function withReport(page: string, parts: Readonly<Record<string, string>>): string {
  return page.replace(/(<!-- made by bench\/run\.ts: ([\w-]+) -->\n)[^]*?(<!-- end -->)/g, (_, head: string, part: string, end: string) => {
    if (!(part in parts)) throw new Error(`docs/benchmarks.md asks for "${part}", which nothing measures`);
    return `${head}${parts[part]}\n${end}`;
  });
}

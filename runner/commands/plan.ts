import { planMemory, type MemoryPlan, type PlanEngine, type PlanOptions } from '../../src/model/memory-plan.ts';
import { fittingText, gibibytes, shortages, whatFits, type MemoryRoom } from '../../src/model/memory-room.ts';
import { publishedShape, publishedShapes } from '../../src/model/published.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import type { Quantization } from '../../src/model/weights.ts';
import type { Command } from '../command.ts';
import { adapterRoom, hostRoom } from '../machine-room.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';

const quantizations = ['none', 'q8', 'q4'] as const;
const units: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** "24GiB", "24G", "8e9". @throws usage */
function bytesOption(options: Options): number | null {
  const text = options.text('memory');
  if (text === null) return null;
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match ? Number(match[1]) * units[match[2].toUpperCase()] : NaN;
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) throw usage(`--memory is "${text}", expected bytes such as 24GiB`);
  return bytes;
}

/** A model whose need is counted. */
interface Subject {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly stored: PlanOptions['stored'];
  readonly kinds: readonly Quantization[];
}

async function subjects(options: Options, kind: Quantization | null, output: Output, signal: AbortSignal): Promise<Subject[]> {
  const name = options.text('model');
  if (name === null) {
    return publishedShapes.map(({ id }) => {
      const shape = publishedShape(id);
      if (!shape) throw usage(`no shape "${id}"`);
      return { name: id, spec: shape.spec, stored: shape.stored, kinds: [kind ?? 'q4'] };
    });
  }
  const kinds = kind === null ? quantizations : [kind];
  const published = publishedShape(name);
  if (published) return [{ name: published.id, spec: published.spec, stored: published.stored, kinds }];
  const files = await openModelOption(name, output, signal);
  return [{ name: files.name, spec: files.spec, stored: files.source.tensors, kinds }];
}

interface Row {
  readonly model: string;
  readonly plan: MemoryPlan;
  readonly room: MemoryRoom;
  readonly problems: readonly string[];
  readonly fitting: readonly string[];
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const kind = options.text('quantize') === null ? null : options.choice('quantize', quantizations, 'q4');
  const context = options.integer('context', 1) ?? 4096;
  const lanes = options.integer('lanes', 1, 1024) ?? 2;
  const memory = bytesOption(options);
  const models = await subjects(options, kind, output, signal);
  const found = await adapterRoom(memory);
  const adapter = 'missing' in found ? null : found;
  const rooms: Readonly<Record<PlanEngine, MemoryRoom>> = {
    webgpu: adapter ?? { name: 'a GPU', memory, bufferLimit: null },
    onnx: memory === null ? hostRoom() : hostRoom(memory),
  };
  const rows: Row[] = models.flatMap(({ name, spec, stored, kinds }) =>
    kinds.flatMap((quantization) =>
      (['webgpu', 'onnx'] as const).map((engine) => {
        const planned = { engine, quantization, context, lanes, stored };
        const plan = planMemory(spec, planned);
        const problems = shortages(plan, rooms[engine]).map(({ text }) => text);
        const fitting = problems.length > 0 ? whatFits(spec, planned, rooms[engine]).map(fittingText) : [];
        return { model: name, plan, room: rooms[engine], problems, fitting };
      }),
    ),
  );
  output.result({
    rooms: { webgpu: rooms.webgpu, onnx: rooms.onnx, adapter: adapter?.name ?? null },
    plans: rows.map(({ model, plan, problems, fitting }) => ({ model, ...plan, fits: problems.length === 0, problems, fitting })),
  });
  const describeRoom = ({ name, memory: has, bufferLimit }: MemoryRoom): string =>
    `${name}, ${has === null ? 'memory unknown' : gibibytes(has)}${bufferLimit === null ? '' : `, buffers of ${gibibytes(bufferLimit)}`}`;
  output.text(`webgpu: ${adapter ? describeRoom(rooms.webgpu) : 'no adapter here'}\nonnx:   ${describeRoom(rooms.onnx)}\n`);
  output.text(`${lanes} ${lanes === 1 ? 'lane' : 'lanes'} of at most ${context} tokens\n\n`);
  output.text(table(rows));
  const first = rows.filter(({ problems }) => problems.length > 0);
  if (first.length > 0) output.text('\n');
  for (const { model, plan, problems, fitting } of first) {
    const would = fitting.length > 0 ? ` It would fit with ${fitting.join(', or ')}.` : ' No setting makes it fit.';
    output.text(`${model} ${plan.quantization} on ${plan.engine}: ${problems.join('; ')}.${would}\n`);
  }
}

const heads = ['model', 'parameters', 'kept as', 'engine', 'weights', 'cache/token', 'cache/lane', 'cache', 'scratch', 'at most', 'fits'];

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ model, plan, room, problems }) => [
    model,
    `${(plan.parameters / 1e9).toFixed(2)} B`,
    plan.quantization,
    plan.engine,
    gibibytes(plan.weights),
    `${(plan.cachePerToken / 1024).toFixed(1)} KiB`,
    gibibytes(plan.cachePerLane),
    gibibytes(plan.cache),
    gibibytes(plan.scratch),
    gibibytes(plan.peak),
    problems.length > 0 ? 'no' : room.memory === null ? 'memory unknown' : 'yes',
  ]);
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    `${row.map((cell, column) => (column === 0 || column === 2 || column === 3 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ')}\n`;
  return [heads, ...cells].map(line).join('');
}

export const plan: Command = {
  verb: 'plan',
  summary: 'what a model needs (weights, cache, scratch) against what this machine has; all published large ones where none is named',
  usage: 'plan [--model NAME or FOLDER] [--quantize none|q8|q4] [--context N] [--lanes N] [--memory BYTES]',
  options: ['model', 'quantize', 'context', 'lanes', 'memory'],
  run,
};

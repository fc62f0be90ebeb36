/**
 * `npx tsx bench/shapes.ts [llama-3.2-1b] [llama-3-8b] ... [--device lavapipe] [--quantize q4] [--steering SECONDS] [--memory BYTES]`:
 * loads the exact shapes of known and published models with random weights and makes a few tokens, one process a model. Proves limits,
 * splitting and tails on a software driver; on a GPU says what decoding reads a second against the card's copy bandwidth. Weights of
 * small models are made once, under .cache/shapes; those of published large ones are random packed rows that need no disk. What does not
 * fit by the planner's count is skipped with its reason; the memory of a card is what --memory says, else unknown.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { writeRandomModel } from '../scripts/random-weights.ts';
import { planMemory } from '../src/model/memory-plan.ts';
import { shortages } from '../src/model/memory-room.ts';
import { publishedShape, publishedShapes } from '../src/model/published.ts';
import { deviceKinds } from '../test/vulkan.ts';
import { inDeviceProcess } from './devices-process.ts';
import type { ShapeTask } from './shapes-child.ts';
import { saveShape, type ShapeResult } from './shapes-result.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'lavapipe' },
    quantize: { type: 'string', default: 'q4' },
    steering: { type: 'string', default: '0' },
    memory: { type: 'string' },
  },
});
const device = deviceKinds.find((kind) => kind === values.device);
const quantization = (['q4', 'q8', 'none'] as const).find((kind) => kind === values.quantize);
if (!device || !quantization) throw new Error('usage: npx tsx bench/shapes.ts [MODEL ...] [--device lavapipe] [--quantize q4]');

const memory = values.memory === undefined ? (device === 'hardware' ? null : process.availableMemory()) : Number(values.memory);
if (memory !== null && !(memory > 0)) throw new Error('--memory takes a number of bytes, such as 80e9');
/** What a software driver can do in a reasonable time is small; a GPU is asked about the shapes that matter. */
const usual = device === 'hardware' ? ['llama-3.2-1b', 'llama-3-8b', 'llama-3-70b'] : ['llama-3.2-1b', 'gemma-3-1b'];
const CONTEXT = 512;

for (const name of positionals.length > 0 ? positionals : usual) {
  const shape = publishedShape(name);
  if (!shape) throw new Error(`no shape is called ${name}`);
  const plan = planMemory(shape.spec, { engine: 'webgpu', quantization, context: CONTEXT, lanes: 2, stored: shape.stored });
  const lacking = shortages(plan, { name: device, memory, bufferLimit: null });
  if (lacking.length > 0) {
    console.error(`${name}: skipped: ${lacking.map(({ text }) => text).join('; ')}`);
    continue;
  }
  const large = publishedShapes.some(({ id }) => id === name);
  if (large && quantization === 'none') {
    console.error(`${name}: skipped: weights of large shapes are made packed; take --quantize q8 or q4`);
    continue;
  }
  const folder = large ? null : fileURLToPath(new URL(`../.cache/shapes/${name}`, import.meta.url));
  if (folder !== null && !existsSync(`${folder}/model.safetensors`)) {
    console.error(`${name}: making random weights in ${folder}`);
    await writeRandomModel(name, folder);
  }
  const task: ShapeTask = { name, folder, quantization, context: CONTEXT, steeringSeconds: Number(values.steering) };
  const { result, problem } = await inDeviceProcess<ShapeTask, { result: ShapeResult | null; problem: string | null }>(
    'shapes-child.ts',
    device,
    task,
  );
  if (!result) throw new Error(problem ?? 'no result');
  console.log(JSON.stringify(result, null, 1));
  await saveShape(result);
}

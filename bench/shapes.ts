/**
 * `npx tsx bench/shapes.ts [llama-3.2-1b] [gemma-3-1b] [--device lavapipe] [--quantize q4] [--steering SECONDS]`: loads the exact shapes of
 * known models with random weights and makes a few tokens, one process a model. Proves limits, splitting and tails on a
 * software driver, and says what memory they take. Weights are made once, under .cache/shapes.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { writeRandomModel } from '../scripts/random-weights.ts';
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
  },
});
const device = deviceKinds.find((kind) => kind === values.device);
const quantization = (['q4', 'q8', 'none'] as const).find((kind) => kind === values.quantize);
if (!device || !quantization) throw new Error('usage: npx tsx bench/shapes.ts [MODEL ...] [--device lavapipe] [--quantize q4]');

for (const name of positionals.length > 0 ? positionals : ['llama-3.2-1b', 'gemma-3-1b']) {
  const folder = fileURLToPath(new URL(`../.cache/shapes/${name}`, import.meta.url));
  if (!existsSync(`${folder}/model.safetensors`)) {
    console.error(`${name}: making random weights in ${folder}`);
    await writeRandomModel(name, folder);
  }
  const task: ShapeTask = { name, folder, quantization, steeringSeconds: Number(values.steering) };
  const { result, problem } = await inDeviceProcess<ShapeTask, { result: ShapeResult | null; problem: string | null }>(
    'shapes-child.ts',
    device,
    task,
  );
  if (!result) throw new Error(problem ?? 'no result');
  console.log(JSON.stringify(result, null, 1));
  await saveShape(result);
}

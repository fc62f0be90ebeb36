import { it } from 'vitest';
import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), (engine) => {
  if (engine.reduced !== undefined) it.skip(`all models but one: ${engine.reduced}`);
  describeGoldens(engine, (name) => engine.reduced === undefined || name === 'llama_gqa_tied');
});

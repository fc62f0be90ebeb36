import { it } from 'vitest';
import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeTrained } from './trained-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), (engine) => {
  if (engine.reduced === undefined) describeTrained(engine);
  else it.skip(`trained models: ${engine.reduced}`);
});

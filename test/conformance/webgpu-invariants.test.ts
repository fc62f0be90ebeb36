import { it } from 'vitest';
import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';
import { describeRequests } from './request-suite.ts';
import { describeSampling } from './sampling-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), (engine) => {
  if (engine.reduced !== undefined) return it.skip(`invariants: ${engine.reduced}`);
  describeInvariants(engine);
  describeSampling(engine);
  describeRequests(engine);
});

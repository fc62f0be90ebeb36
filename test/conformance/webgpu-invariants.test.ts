import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';
import { describeRequests } from './request-suite.ts';
import { describeSampling } from './sampling-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), (engine) => {
  describeInvariants(engine);
  if (engine.scope?.invariants?.length === 0) return;
  describeSampling(engine);
  describeRequests(engine);
});

import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), describeInvariants);

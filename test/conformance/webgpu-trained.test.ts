import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeTrained } from './trained-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), describeTrained);

import { testDevices } from '../devices.ts';
import { describeRows, webGpuEngines } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

const [device] = await testDevices();

describeRows(await webGpuEngines(device), describeGoldens);

import { testDevices } from '../test/devices.ts';

/** Prints why the device that TILLER_TEST_DEVICE names cannot be tested here, or nothing. */
for (const device of await testDevices()) if (device.skip !== null) console.log(device.skip);

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { vulkanManifest, type DeviceKind } from '../test/vulkan.ts';

/**
 * Runs a script of this folder in a process of its own, with the driver of one device, and gives what it sends back. The
 * Vulkan loader reads its environment once a process, so two devices never share one.
 */
export function inDeviceProcess<Task extends object, Report>(script: string, device: DeviceKind, task: Task): Promise<Report> {
  const manifest = device === 'hardware' ? null : vulkanManifest(device);
  const env = { ...process.env, TILLER_TEST_DEVICE: device, ...(manifest === null ? {} : { VK_ICD_FILENAMES: manifest }) };
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), { execArgv: ['--import', 'tsx'], env });
    let report: Report | null = null;
    child.once('message', (message) => (report = message as Report));
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      if (report !== null) resolve(report);
      else reject(new Error(`the process of ${device} ended with ${signal ?? status} and no result`));
    });
    child.send(task);
  });
}

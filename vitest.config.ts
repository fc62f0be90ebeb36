import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const testFiles = ['src', 'runner', 'scripts', 'test', 'workers', 'bench']
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(folder, name)),
  );
/** Files that take their GPU from test/devices.ts: `npm test` runs them once per device, named by TILLER_TEST_DEVICE. */
const needsDevice = (file: string): boolean => readFileSync(file, 'utf8').includes('/devices.ts');

export default defineConfig({
  plugins: [svelte()],
  test: {
    // The Vulkan loader reads the environment of the process, which worker threads do not share.
    pool: 'forks',
    maxWorkers: 2,
    // Software GPUs compile slowly, and more so on a busy machine.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    projects: [
      { extends: true, test: { name: 'unit', include: testFiles.filter((file) => !needsDevice(file)) } },
      { extends: true, test: { name: 'device', include: testFiles.filter(needsDevice) } },
    ],
  },
});

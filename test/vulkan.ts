import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Drivers that tests run on. `hardware` is whatever GPU the machine has. */
export const deviceKinds = ['lavapipe', 'swiftshader', 'hardware'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

const playwrightBrowsers = (): string[] => {
  const root = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), '.cache', 'ms-playwright');
  return list(root)
    .filter((path) => /chromium-\d+$/.test(path))
    .flatMap(list);
};

/** Where a software driver's Vulkan manifest lies on this machine, or null. */
export function vulkanManifest(kind: 'lavapipe' | 'swiftshader'): string | null {
  if (kind === 'lavapipe') {
    const folders = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
    return folders.flatMap(list).find((path) => /\/lvp_icd.*\.json$/.test(path)) ?? null;
  }
  const folders = [...playwrightBrowsers(), '/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
  return folders.map((folder) => join(folder, 'vk_swiftshader_icd.json')).find((path) => existsSync(path)) ?? null;
}

import { existsSync } from 'node:fs';
import { chromium } from '@playwright/test';

const systemBrowsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** A Chromium with WebGPU: Playwright's own where it is installed, else the system's; null where there is none. */
export function browserExecutable(): string | null {
  return [chromium.executablePath(), ...systemBrowsers].find((path) => existsSync(path)) ?? null;
}

import { readFileSync } from 'node:fs';
import type { Context } from './results.ts';

const version = (path: string): string => (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;

/** Versions of what every number depends on. */
export const versions: Context['versions'] = {
  tiller: version('../package.json'),
  webgpu: version('../node_modules/webgpu/package.json'),
  node: process.version.slice(1),
};

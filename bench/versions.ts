import { readFileSync } from 'node:fs';
import type { Context } from './results.ts';

const version = (path: string): string => (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;

/** The version of a package that is installed here. */
export const versionOf = (name: string): string => version(`../node_modules/${name}/package.json`);

/** Versions of what every number depends on. */
export const versions: Context['versions'] = {
  tiller: version('../package.json'),
  webgpu: versionOf('webgpu'),
  node: process.version.slice(1),
};

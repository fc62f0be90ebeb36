import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute as executeHere } from '../runner/cli.ts';

const bin = fileURLToPath(new URL('../runner/tiller.js', import.meta.url));

/** Golden model by name. */
export const golden = (name: string): string => fileURLToPath(new URL(`goldens/${name}`, import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line as a program of its own. */
export function tiller(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], { env: { ...process.env, ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Runs a command line in this process: what the program does, without the time it takes to start one. */
export async function execute(args: readonly string[]): Promise<CliResult> {
  const collected = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') => ({ write: (text: string) => void (collected[name] += text) });
  const status = await executeHere(args, sink('stdout'), sink('stderr'), new AbortController().signal);
  return { status, ...collected };
}

/** A folder for the files of a test. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), 'tiller-test-'));

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = this.path(name);
    writeFileSync(path, content);
    return path;
  }

  json(name: string, value: unknown): string {
    return this.write(name, JSON.stringify(value));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

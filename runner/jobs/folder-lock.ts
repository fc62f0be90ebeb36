import { createHash, randomUUID } from 'node:crypto';
import { realpath, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TillerError } from '../../src/errors/error.ts';

/** Bytes of a path that a socket may have, on the strictest system. */
const longestSocketPath = 100;

/**
 * Takes a folder for this process until it ends, however it ends: the lock is a socket that somebody listens at, so that a killed
 * process leaves a dead one, and a process number that another program got means nothing.
 * @returns what gives it back
 * @throws jobs/folder-in-use
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = socketPath(await realpath(folder));
  for (;;) {
    const server = await listen(path);
    if (server) return () => close(server);
    if (await answers(path)) throw new TillerError('jobs/folder-in-use', { folder });
    await removeDead(path, folder);
  }
}

/** In the folder itself where the path is short enough, else beside the machine's temporary files, named by the folder. */
function socketPath(folder: string): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 32);
  if (process.platform === 'win32') return `\\\\.\\pipe\\tiller-${hash}`;
  const inside = join(folder, 'in-use.sock');
  return Buffer.byteLength(inside) <= longestSocketPath ? inside : join(tmpdir(), `tiller-${hash}.sock`);
}

/** Null where something has the path already. */
function listen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(new TillerError('jobs/database', { problem: error.message }, { cause: error }));
    });
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a living process listens there; one that is stopped does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Takes a dead socket away. It is moved first and asked again: another process may have put its own there meanwhile. */
async function removeDead(path: string, folder: string): Promise<void> {
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await rename(path, aside);
  } catch {
    return; // somebody else was quicker
  }
  if (await answers(aside)) {
    await rename(aside, path);
    throw new TillerError('jobs/folder-in-use', { folder });
  }
  await rm(aside, { force: true });
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

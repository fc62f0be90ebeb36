import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { postgresFolder } from './postgres.ts';

/** PostgreSQL's programs, or null where they are not installed. */
export const postgresPrograms = postgresFolder();

export interface PostgresServer {
  /** Connection string of a new, empty database. */
  database(): Promise<string>;
  stop(): Promise<void>;
}

/** Whom the server runs as: it refuses to run as root. */
function owner(): { readonly uid: number; readonly gid: number } | Record<string, never> {
  if (process.getuid?.() !== 0) return {};
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // There is no such user here.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody"');
}

/** A server of its own in a temporary folder, reached through a socket there. It forgets nothing a test could see, but is not safe against power cuts. */
export async function startPostgres(programs: string): Promise<PostgresServer> {
  const user = owner();
  const folder = mkdtempSync(join(tmpdir(), 'tiller-pg-'));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const options = { ...user, cwd: folder, env: { ...process.env, LC_ALL: 'C', HOME: folder } };
  execFileSync(join(programs, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'tiller', '--no-sync', '-E', 'UTF8'], {
    ...options,
    stdio: 'pipe',
  });
  const settings = ['listen_addresses=', 'fsync=off', 'shared_buffers=16MB', 'max_connections=60'];
  const server = spawn(join(programs, 'postgres'), ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])], options);
  await ready(server);
  let count = 0;
  return {
    async database() {
      const name = `t${++count}`;
      const client = new pg.Client({ host: folder, user: 'tiller', database: 'postgres' });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      return `postgres://tiller@localhost/${name}?host=${encodeURIComponent(folder)}`;
    },
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      // "Fast": connections are ended.
      server.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The server says so on standard error. */
function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    server.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (said.includes('ready to accept connections')) resolve();
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`postgres ended with ${code}: ${said}`)));
  });
}

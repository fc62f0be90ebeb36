import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where distributions and installers put the server's programs, which are often not on the PATH. */
const parents = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/Library/PostgreSQL'];

const hasServer = (folder: string): boolean => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'));

/** The folder with PostgreSQL's `initdb` and `postgres`, newest version first; null where there is none. */
export function postgresFolder(): string | null {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const installed = parents
    .filter((parent) => existsSync(parent))
    .flatMap((parent) => readdirSync(parent).map((version) => join(parent, version, 'bin')))
    .sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
  return [...onPath, ...installed].find(hasServer) ?? null;
}

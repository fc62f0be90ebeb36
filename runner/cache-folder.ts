import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the command line keeps what it can get again: downloaded models, measured kernels. */
export const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tiller');

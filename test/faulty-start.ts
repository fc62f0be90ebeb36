import { childProcess } from '../runner/server/engine-process.ts';

/** Starts test/faulty-engine.ts in a process of its own. */
export const startFaulty = childProcess(new URL('./faulty-engine.js', import.meta.url));

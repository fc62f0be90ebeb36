import { workerData } from 'node:worker_threads';

/** In a thread beside an engine: ends the process when the one that started it is gone, though the engine may be in the midst of something. */
const EVERY = 1000;

const lives = () => {
  // An orphan gets another parent, but not everywhere.
  if (process.platform !== 'win32') return process.ppid === workerData;
  try {
    return process.kill(workerData, 0);
  } catch {
    return false;
  }
};

setInterval(() => {
  if (!lives()) process.kill(process.pid, 'SIGKILL');
}, EVERY);

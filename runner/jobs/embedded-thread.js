import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

/**
 * The embedded database in a thread of its own: creating it takes seconds, and a server would answer nobody meanwhile. It does one
 * statement after the other; plain JavaScript, so that the thread needs no loader.
 */
const database = await PGlite.create(workerData.folder);

const run = async (text, values) => {
  if (values.length > 0) return (await database.query(text, values)).rows;
  // Several statements in one text, as pg-boss has them, go without values.
  return (await database.exec(text)).at(-1)?.rows ?? [];
};

const problemOf = (error) => (error instanceof Error ? error.message : String(error));

let last = Promise.resolve();
parentPort.on('message', ({ id, text, values }) => {
  last = last.then(async () => {
    try {
      if (text !== null) parentPort.postMessage({ id, rows: await run(text, values) });
      else {
        await database.close();
        parentPort.postMessage({ id, rows: [] });
        parentPort.close();
      }
    } catch (error) {
      parentPort.postMessage({ id, problem: problemOf(error) });
    }
  });
});
parentPort.postMessage({ id: 0, rows: [] });

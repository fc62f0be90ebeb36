import { register } from 'tsx/esm/api';
import { parentPort, workerData } from 'node:worker_threads';

// A worker thread begins without the loader of the thread that started it.
register();
const { help } = await import('../src/engine/onnx/kernels/team.ts');
parentPort.postMessage('ready');
help(workerData);

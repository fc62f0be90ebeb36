import { help, type HelperInit } from '../src/engine/onnx/kernels/team.ts';

/** A thread of the CPU engine's own kernels: told what to work on once, it never returns to its event loop. */
self.onmessage = ({ data }: MessageEvent<HelperInit>): void => {
  self.postMessage('ready');
  help(data);
};

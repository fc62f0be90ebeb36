import WebSocket from 'ws';
import type { Network, RunnerSocket } from '../src/engine/remote/connection.ts';

/** The network of a program, for engine/remote. */
export const nodeNetwork: Network = {
  fetch,
  // Types of `ws` name its own events, which have what is used of the browser's.
  socket: (url, protocols) =>
    new WebSocket(url, protocols, { perMessageDeflate: false, maxPayload: 64 * 2 ** 20 }) as unknown as RunnerSocket,
  origin: null,
};

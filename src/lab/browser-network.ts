import type { Network, RunnerSocket } from '../engine/remote/connection.ts';

/** The network of a browser, of its page and of its workers alike, for engine/remote. */
export const browserNetwork = (): Network => ({
  fetch: (url, init) => fetch(url, init),
  // The browser's own events have what is used of them.
  socket: (url, protocols) => new WebSocket(url, protocols) as unknown as RunnerSocket,
  origin: location.origin,
});

import { throwIfAborted } from './request.ts';

/** Milliseconds of work between two turns of the event loop: short enough for a page to stay alive, long enough to cost nothing. */
const SLICE_MS = 12;

/**
 * Lets long loops give way: called between layers and inside large products, it throws request/aborted once the signal is set, and
 * hands control to the event loop when the slice is used up, so that the signal can be set at all.
 */
export class Pause {
  private since: number;
  private readonly now: () => number;
  private readonly signal: AbortSignal | undefined;

  constructor(now: () => number, signal: AbortSignal | undefined) {
    this.now = now;
    this.signal = signal;
    this.since = now();
    throwIfAborted(signal);
  }

  /** True when `turn` should be awaited: asking first spares an await per layer. */
  due(): boolean {
    throwIfAborted(this.signal);
    return this.now() - this.since >= SLICE_MS;
  }

  async turn(): Promise<void> {
    await turnOfEvents();
    this.since = this.now();
    throwIfAborted(this.signal);
  }
}

/** Lets whatever has arrived be heard. A message to oneself, because browsers make timers that follow each other wait 4 ms. */
export function turnOfEvents(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FRAMES_TYPE } from '../../src/engine/remote/protocol.ts';
import { messageFrame, resultFrames, type FrameMessage } from '../../src/engine/remote/frames.ts';
import { asTillerError } from '../output.ts';
import type { WorkEvents } from './engine-slot.ts';

/** Milliseconds between two signs of life while an answer is computed, so that neither side nor a proxy between takes it for dead. */
const BEAT = 5000;
/** Milliseconds between two reports of progress. */
const PROGRESS = 100;

/** Aborts when the client of a request is gone before its answer is. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * Answers in frames: progress and signs of life while the work runs, then its result, at the pace of the reader. A reader that stops for longer
 * than `timeout` is disconnected; one that is gone ends the work.
 * @param release called once when nothing of the answer is held any more
 */
export function sendFrames(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: {
    readonly work: (events: WorkEvents, signal: AbortSignal) => Promise<unknown>;
    readonly timeout: number;
    readonly now: () => number;
    readonly release?: () => void;
  },
): FastifyReply {
  const signal = clientSignal(reply);
  const messages: FrameMessage[] = [];
  let outcome: { readonly value: unknown } | { readonly error: unknown } | null = null;
  let wake = (): void => undefined;
  const say = (message: FrameMessage): void => {
    // Only the newest of a kind is worth sending.
    const same = messages.findIndex(({ type }) => type === message.type);
    if (same >= 0) messages.splice(same, 1);
    messages.push(message);
    wake();
  };
  let progressAt = -Infinity;
  const events: WorkEvents = {
    onProgress: (done, total) => {
      const now = parts.now();
      if (done < total && now - progressAt < PROGRESS) return;
      progressAt = now;
      say({ type: 'progress', done, total });
    },
    onLoading: (progress) => say({ type: 'loading', progress }),
    onQueued: (position) => say({ type: 'queued', position }),
  };
  const beats = setInterval(() => say({ type: 'beat' }), Math.min(BEAT, parts.timeout / 4));
  signal.addEventListener('abort', () => wake(), { once: true });
  if (request.raw.socket.destroyed) {
    clearInterval(beats);
    parts.release?.();
    return reply.hijack();
  }
  let work: Promise<unknown>;
  try {
    work = parts.work(events, signal);
  } catch (error) {
    // Not taken up at all: an ordinary answer says so, with its status.
    clearInterval(beats);
    parts.release?.();
    throw error;
  }
  const running = work.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { error }),
  );
  void running.then(() => wake());

  async function* frames(): AsyncGenerator<Uint8Array, void, void> {
    // The headers travel with the first bytes, and a client should know at once that it was heard.
    yield messageFrame({ type: 'beat' });
    while (!signal.aborted) {
      const message = messages.shift();
      if (message) yield messageFrame(message);
      else if (outcome) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    if (signal.aborted || !outcome) return;
    if ('error' in outcome) yield messageFrame({ type: 'error', error: asTillerError(outcome.error).toJSON() });
    else yield* resultFrames(outcome.value);
  }
  const stream = Readable.from(frames(), { objectMode: false, highWaterMark: 64 * 1024 });
  const { socket } = request.raw;
  stream.once('close', () => {
    clearInterval(beats);
    // What a client that is gone has asked for still comes from the engine: its memory counts until then.
    void running.then(() => {
      outcome = null;
      parts.release?.();
    });
  });
  const giveUp = (): void => void socket.destroy();
  socket.setTimeout(parts.timeout, giveUp);
  reply.raw.once('close', () => {
    socket.setTimeout(0, giveUp);
    stream.destroy();
  });
  return reply.type(FRAMES_TYPE).header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(stream);
}

import * as v from 'valibot';
import { TillerError } from '../../errors/error.ts';
import type { GenerateSummary, Step } from '../engine.ts';
import { runnerError, type Connection } from './connection.ts';
import { serverMessage, type ServerMessage } from './documents.ts';
import { unpack } from './values.ts';

type Event = { readonly message: ServerMessage } | { readonly closed: TillerError };

/** Close codes of the runner's side, from the range that is left to applications. */
export const closeCodes = { done: 1000, refused: 4400, failed: 4500 } as const;

/**
 * Tokens of a run on the runner as they come. Leaving the loop or setting the signal stops the run there within a token; after the signal the
 * summary still arrives.
 * @throws the runner's error; runner/connection, runner/unreachable
 */
export async function* remoteGenerate(
  connection: Connection,
  model: string,
  request: unknown,
  signal: AbortSignal | undefined,
): AsyncGenerator<Step, GenerateSummary, void> {
  const socket = connection.socket('generate', { model });
  const events: Event[] = [];
  let wake = (): void => undefined;
  let opened = false;
  const push = (event: Event): void => {
    events.push(event);
    wake();
  };
  const stop = (): void => {
    if (opened) socket.send(JSON.stringify({ type: 'stop' }));
  };
  socket.onopen = () => {
    opened = true;
    socket.send(JSON.stringify({ type: 'start', request }));
    if (signal?.aborted) stop();
  };
  socket.onmessage = ({ data }) => push(readMessage(data));
  socket.onerror = () => undefined;
  socket.onclose = ({ code, reason }) => {
    const problem = reason || `the socket was closed with code ${code}`;
    push({ closed: opened ? new TillerError('runner/connection', { problem }) : connection.unreachable(problem) });
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const event = events.shift();
      if (!event) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      if ('closed' in event) throw opened ? event.closed : await whyRefused(connection, event.closed);
      const { message } = event;
      if (message.type === 'error') throw runnerError(message.error);
      if (message.type === 'step') yield unpack(message.step, []) as Step;
      if (message.type === 'done') return unpack(message.summary, []) as GenerateSummary;
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    socket.onclose = null;
    socket.onmessage = null;
    socket.close(closeCodes.done);
  }
}

function readMessage(data: unknown): Event {
  const wrong = (problem: string): Event => ({ closed: new TillerError('runner/answer', { problem }) });
  if (typeof data !== 'string') return wrong('a socket message is not text');
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return wrong('a socket message is not JSON');
  }
  const result = v.safeParse(serverMessage, parsed);
  return result.success ? { message: result.output } : wrong(`a socket message is unknown: ${result.issues[0].message}`);
}

/** A browser does not say why a WebSocket was refused; an ordinary request does. */
async function whyRefused(connection: Connection, otherwise: TillerError): Promise<TillerError> {
  try {
    await connection.capabilities();
    return otherwise;
  } catch (error) {
    return error instanceof TillerError ? error : otherwise;
  }
}

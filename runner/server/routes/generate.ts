import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { WebSocket } from 'ws';
import type { GenerateSummary, Step } from '../../../src/engine/engine.ts';
import { clientMessage, type GenerateBody } from '../../../src/engine/remote/documents.ts';
import { endpoints } from '../../../src/engine/remote/endpoints.ts';
import { closeCodes } from '../../../src/engine/remote/generate.ts';
import { pack } from '../../../src/engine/remote/values.ts';
import { TillerError } from '../../../src/errors/error.ts';
import { readJson } from '../../../src/formats/json.ts';
import { asTillerError } from '../../output.ts';
import type { Metrics } from '../metrics.ts';
import { generateWork } from '../requests.ts';
import { checked } from '../route.ts';
import type { Runner } from '../runner.ts';

/** Milliseconds between two signs of life; a client that does not answer one until the next is gone, or reads nothing. */
const BEAT = 10_000;

/** Depth of a message: a graph's selectors nest. */
const MAX_DEPTH = 128;

/** Tokens over a WebSocket. One run a socket: `start` begins it, `stop` ends it within a token, and so does closing the socket. */
export function generateRoutes(app: FastifyInstance, runner: Runner, metrics: Metrics): void {
  app.route({
    method: 'GET',
    url: endpoints.generate.path,
    handler: () => {
      throw new TillerError('request/invalid', { problem: 'generation is a WebSocket' });
    },
    wsHandler: (socket, request) => {
      const { model } = request.params as { model: string };
      new Session(socket, model, runner, metrics, request.log).listen();
    },
  });
}

/** One socket: from its first message to its last token. */
class Session {
  readonly #abort = new AbortController();
  #started = false;
  #finished = false;
  #answered = true;
  #beats: NodeJS.Timeout | null = null;
  #patience: NodeJS.Timeout | null = null;

  constructor(
    private readonly socket: WebSocket,
    private readonly model: string,
    private readonly runner: Runner,
    private readonly metrics: Metrics,
    private readonly log: FastifyBaseLogger,
  ) {}

  listen(): void {
    const { socket, metrics } = this;
    metrics.sockets.inc();
    socket.on('message', (data: Buffer, binary) => this.#hear(data, binary));
    socket.on('pong', () => (this.#answered = true));
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      metrics.sockets.dec();
      this.#end();
    });
    this.#beats = setInterval(() => this.#beat(), BEAT);
    // Who opens a socket and says nothing is let go.
    this.#patience = setTimeout(() => this.#fail(new TillerError('runner/slow-client')), this.runner.config.limits.clientTimeout);
  }

  #end(): void {
    this.#finished = true;
    this.#abort.abort();
    if (this.#beats) clearInterval(this.#beats);
    if (this.#patience) clearTimeout(this.#patience);
  }

  #beat(): void {
    if (!this.#answered) return this.#fail(new TillerError('runner/slow-client'));
    this.#answered = false;
    this.socket.ping();
    this.#send({ type: 'beat' });
  }

  #hear(data: Buffer, binary: boolean): void {
    if (this.#finished) return;
    try {
      if (binary) throw new TillerError('request/invalid', { problem: 'messages are JSON text' });
      const json = readJson(data, MAX_DEPTH);
      if ('problem' in json) throw new TillerError('request/invalid', { problem: json.problem });
      const message = checked(clientMessage, json.value);
      if (message.type === 'stop') return this.#abort.abort();
      if (this.#started) throw new TillerError('request/invalid', { problem: 'this socket has its run already' });
      this.#started = true;
      if (this.#patience) clearTimeout(this.#patience);
      this.#run(message.request).catch((error: unknown) => this.#fail(asTillerError(error)));
    } catch (error) {
      this.#fail(asTillerError(error));
    }
  }

  async #run(body: GenerateBody): Promise<void> {
    const { runner, model, metrics } = this;
    const { limits, log } = runner.config;
    runner.files(model);
    const work = await generateWork(body, runner.tensors, limits);
    if (log === 'prompts') this.log.info({ model, prompt: body.prompt }, 'generate');
    const events = {
      onStep: (step: Step) => {
        metrics.tokens.inc({ model }, step.lanes.filter((lane) => lane !== null).length);
        this.#send({ type: 'step', step: pack(step).value });
      },
      onQueued: (position: number) => this.#send({ type: 'queued', position }),
      onLoading: (progress: object) => this.#send({ type: 'loading', progress }),
    };
    const summary = (await runner.pool.run(model, work, events, this.#abort.signal)) as GenerateSummary;
    this.#send({ type: 'done', summary: pack(summary).value });
    this.#finish(closeCodes.done);
  }

  /** A client that does not read gets a bounded backlog and a bounded time; why it was let go is the last that it reads. */
  #send(message: Readonly<Record<string, unknown>>): void {
    const { socket } = this;
    if (this.#finished || socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > this.runner.config.limits.backlog) {
      this.log.warn({ model: this.model }, 'a client does not read; it is let go');
      return this.#fail(new TillerError('runner/slow-client'));
    }
    socket.send(JSON.stringify(message));
  }

  #fail(error: TillerError): void {
    if (this.#finished) return;
    const { socket } = this;
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: 'error', error: error.toJSON() }));
    this.#finish(error.code === 'internal' ? closeCodes.failed : closeCodes.refused);
    this.#abort.abort();
  }

  #finish(code: number): void {
    this.#end();
    if (this.socket.readyState === this.socket.OPEN) this.socket.close(code);
    // A client that does not answer the closing keeps its socket no longer than this.
    setTimeout(() => this.socket.terminate(), this.runner.config.limits.clientTimeout).unref();
  }
}

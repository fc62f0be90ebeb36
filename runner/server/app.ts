import { Readable } from 'node:stream';
import rateLimit from '@fastify/rate-limit';
import websocket from '@fastify/websocket';
import fastify, { LogController, type FastifyError, type FastifyInstance } from 'fastify';
import { endpoints, type Endpoint } from '../../src/engine/remote/endpoints.ts';
import { TENSOR_TYPE } from '../../src/engine/remote/protocol.ts';
import { TillerError } from '../../src/errors/error.ts';
import { readJson } from '../../src/formats/json.ts';
import { asTillerError } from '../output.ts';
import type { Metrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { route } from './route.ts';
import { generateRoutes } from './routes/generate.ts';
import { modelRoutes } from './routes/models.ts';
import { tensorRoutes } from './routes/tensors.ts';
import type { Runner } from './runner.ts';
import { acceptedProtocol, secure } from './security.ts';
import { statusOf } from './status-codes.ts';

/** Adds routes of other parts of a runner (jobs) to the app, behind the same checks. */
export type MoreRoutes = (app: FastifyInstance, runner: Runner) => Promise<void>;

export interface AppOptions {
  readonly runner: Runner;
  readonly metrics: Metrics;
  readonly more?: readonly MoreRoutes[];
  /** Where log lines go. @default nowhere */
  readonly logTo?: { write(line: string): void };
}

/** Depth of a JSON body: a graph's selectors nest. */
const MAX_DEPTH = 128;

/** The HTTP and WebSocket server of a runner; the caller listens and closes. Nothing that comes in can end the process. */
export async function createApp({ runner, metrics, more = [], logTo }: AppOptions): Promise<FastifyInstance> {
  const { config } = runner;
  const { limits } = config;
  const app = fastify({
    logger: logTo && config.log !== 'quiet' ? { level: 'info', stream: logTo, serializers: { req: () => ({}), res: () => ({}) } } : false,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.body,
    requestTimeout: limits.requestTimeout,
    connectionTimeout: 0,
    keepAliveTimeout: 72_000,
    forceCloseConnections: true,
    return503OnClosing: true,
    routerOptions: { maxParamLength: 256 },
    https: config.tls && { ...config.tls },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = limits.connections;
  app.server.headersTimeout = 30_000;

  app.setErrorHandler((thrown, request, reply) => {
    const error = ownError(thrown as FastifyError, limits.body);
    if (error.code === 'internal')
      request.log.error({ problem: error.details.problem, stack: error.cause instanceof Error ? error.cause.stack : null }, 'internal');
    const status = statusOf(error.code);
    if (status === 429) reply.header('retry-after', '1');
    return reply.code(status).send({ error: error.toJSON() });
  });
  const noSuchPath = (url: string): TillerError => new TillerError('runner/path', { path: url.split('?')[0].slice(0, 200) });
  app.setNotFoundHandler((request) => {
    throw noSuchPath(request.url);
  });
  // The table's schemas check bodies (route.ts), and answers are what they are.
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    const json = readJson(body as Buffer, MAX_DEPTH);
    if ('problem' in json) done(new TillerError('request/invalid', { problem: `the body: ${json.problem}` }));
    else done(null, json.value);
  });
  app.addContentTypeParser(TENSOR_TYPE, (_request, payload, done) => done(null, Readable.from(payload)));

  const open = new Set((Object.values(endpoints) as readonly Endpoint[]).filter((row) => row.open).map((row) => row.path));
  secure(app, config, open);
  metrics.watch(app, runner);
  // A socket that was refused is no connection of HTTP's any more, whose time-outs would end it.
  app.addHook('onResponse', async (request, reply) => {
    if (request.headers.upgrade !== undefined && reply.statusCode >= 400) request.raw.socket.destroySoon();
  });
  if (config.log !== 'quiet') {
    app.addHook('onResponse', async (request, reply) => {
      const { method } = request;
      const { model } = (request.params ?? {}) as { model?: string };
      const known = model !== undefined && runner.names.includes(model) ? { model } : {};
      request.log.info(
        { method, path: request.routeOptions.url ?? 'none', ...known, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
        'request',
      );
    });
  }

  await app.register(rateLimit, {
    max: limits.rate,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, { max }) =>
      new TillerError('runner/busy', { problem: `more than ${max} requests in a minute came from this client` }),
  });
  await app.register(websocket, {
    options: { maxPayload: limits.body, handleProtocols: acceptedProtocol, perMessageDeflate: false },
    errorHandler: (_error, socket) => socket.terminate(),
  });
  await app.register(async (inner) => {
    modelRoutes(inner, runner);
    tensorRoutes(inner, runner);
    generateRoutes(inner, runner, metrics);
    // A page that is not allowed here may still see that something answers, isolated ones too: it can then say what is wrong.
    route(inner, 'health', ({ reply }) => reply.header('cross-origin-resource-policy', 'cross-origin').type('text/plain').send('ok\n'));
    route(inner, 'metrics', async ({ reply }) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()));
    const document = openApiDocument(config.program);
    route(inner, 'openapi', ({ reply }) => reply.type('application/json').send(JSON.stringify(document)));
    for (const add of more) await add(inner, runner);
  });
  return app;
}

/** What Fastify itself refuses, in our words. */
function ownError(thrown: FastifyError, body: number): TillerError {
  if (thrown instanceof TillerError) return thrown;
  const status = thrown.statusCode ?? 500;
  if (thrown.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new TillerError('runner/too-large', { what: 'the body', got: 'more', limit: body });
  if (status >= 400 && status < 500) return new TillerError('request/invalid', { problem: thrown.message });
  return asTillerError(thrown);
}

import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Runner } from './runner.ts';

/** Numbers for Prometheus. Labels are endpoints, statuses and served models: never anything that a client makes up. */
export class Metrics {
  readonly registry = new Registry();
  readonly tokens = new Counter({
    name: 'tiller_generated_tokens_total',
    help: 'Tokens generated, over all lanes.',
    labelNames: ['model'],
    registers: [this.registry],
  });
  readonly sockets = new Gauge({ name: 'tiller_sockets', help: 'WebSockets that are open.', registers: [this.registry] });
  readonly restarts = new Counter({
    name: 'tiller_engine_restarts_total',
    help: 'Engines that hung or fell and were started again.',
    labelNames: ['model'],
    registers: [this.registry],
  });
  readonly #requests = new Counter({
    name: 'tiller_requests_total',
    help: 'Requests answered.',
    labelNames: ['endpoint', 'status'],
    registers: [this.registry],
  });
  readonly #seconds = new Histogram({
    name: 'tiller_request_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['endpoint'],
    buckets: [0.01, 0.1, 1, 10, 60, 600],
    registers: [this.registry],
  });

  /** Counts the requests of an app, and shows the state of its runner. */
  watch(app: FastifyInstance, runner: Runner): void {
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    };
    gauge('tiller_requests_running', 'Requests that an engine works on.', () => runner.pool.busy().running);
    gauge('tiller_requests_queued', 'Requests that wait for an engine.', () => runner.pool.busy().queued);
    gauge('tiller_jobs_running', 'Jobs that an engine works on.', () => runner.pool.busy().jobs);
    gauge('tiller_engines', 'Models that are in memory.', () => runner.pool.engines);
    gauge('tiller_engine_memory_bytes', 'Resident memory of the engines, which have processes of their own.', () => runner.pool.memory);
    gauge('tiller_tensor_bytes', 'Bytes of stored tensors.', () => runner.tensors.bytes);
    gauge('tiller_answer_bytes', 'Bytes of answers on their way.', () => runner.answers.taken);
    gauge('process_resident_memory_bytes', 'Resident memory of the server, without its engines.', () => process.memoryUsage.rss());
    app.addHook('onResponse', async (request, reply) => {
      const endpoint = request.routeOptions.url ?? 'none';
      this.#requests.inc({ endpoint, status: String(reply.statusCode) });
      this.#seconds.observe({ endpoint }, reply.elapsedTime / 1000);
    });
  }
}

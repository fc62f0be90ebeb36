import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as v from 'valibot';
import { endpoints, type Endpoint, type EndpointName } from '../../src/engine/remote/endpoints.ts';
import { TillerError } from '../../src/errors/error.ts';

/** What an endpoint's handler gets: the body checked by the table's schema. */
export interface Asked<B> {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly parameters: Readonly<Record<string, string>>;
  readonly body: B;
}

type BodyOf<N extends EndpointName> = (typeof endpoints)[N]['body'] extends {
  readonly kind: 'json';
  readonly schema: infer S extends v.GenericSchema;
}
  ? v.InferOutput<S>
  : unknown;

/** @throws request/invalid with the place of the first problem */
export function checked<const S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = v.getDotPath(issue);
  throw new TillerError('request/invalid', { problem: `${place === null ? '' : `at ${place}: `}${issue.message}` });
}

/** Serves an endpoint of the table. What the handler returns is the answer, unless it has answered itself. */
export function route<const N extends EndpointName>(
  app: FastifyInstance,
  name: N,
  handler: (asked: Asked<BodyOf<N>>) => unknown,
  options: { readonly bodyLimit?: number } = {},
): void {
  const endpoint: Endpoint = endpoints[name];
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    ...options,
    handler: async (request, reply) => {
      const body = endpoint.body.kind === 'json' ? checked(endpoint.body.schema, request.body) : request.body;
      const answer = await handler({ request, reply, parameters: request.params as Record<string, string>, body: body as BodyOf<N> });
      return answer === reply ? reply : answer;
    },
  });
}

import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { endpoints, errorSchema, type AnswerKind, type Endpoint } from '../../src/engine/remote/endpoints.ts';
import { jobEndpoints } from '../../src/jobs/job-endpoints.ts';
import { FRAMES_TYPE, TENSOR_TYPE } from '../../src/engine/remote/protocol.ts';

/** Parts of an OpenAPI operation, made of the table's schemas. */

type Json = Record<string, unknown>;

/** JSON Schema of a valibot schema; what JSON Schema cannot say is left out there and checked all the same. */
export const jsonSchema = (schema: v.GenericSchema): Json => {
  const { $schema, ...rest } = toJsonSchema(schema, { errorMode: 'ignore', target: 'draft-2020-12' }) as Json;
  void $schema;
  return rest;
};

function content(answer: AnswerKind): Json {
  switch (answer.kind) {
    case 'json':
      return { 'application/json': { schema: jsonSchema(answer.schema) } };
    case 'frames':
      return {
        [FRAMES_TYPE]: {
          schema: { type: 'string', format: 'binary', description: `Frames whose result is ${answer.of}; docs/runner.md has their form.` },
        },
      };
    case 'events':
      return { 'application/x-ndjson': { schema: jsonSchema(answer.schema) } };
    case 'bytes':
      return { [TENSOR_TYPE]: { schema: { type: 'string', format: 'binary' } } };
    case 'text':
      return { 'text/plain': { schema: { type: 'string' } } };
    case 'socket':
      return { 'application/json': { schema: { client: jsonSchema(answer.client), server: jsonSchema(answer.server) } } };
  }
}

function operation({ path, body, answer, open, doc }: Endpoint): Json {
  const socket = answer.kind === 'socket';
  return {
    summary: doc,
    ...(open ? { security: [] } : {}),
    parameters: [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(body.kind === 'json'
      ? { requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(body.schema) } } } }
      : {}),
    ...(body.kind === 'bytes'
      ? { requestBody: { required: true, content: { [TENSOR_TYPE]: { schema: { type: 'string', format: 'binary' } } } } }
      : {}),
    ...(socket ? { 'x-websocket': content(answer)['application/json'] } : {}),
    responses: {
      ...(socket ? { 101: { description: 'a WebSocket' } } : { 200: { description: 'done', content: content(answer) } }),
      default: { description: 'an error of docs/errors.md', content: { 'application/json': { schema: jsonSchema(errorSchema) } } },
    },
  };
}

/** The endpoints as OpenAPI 3.1. */
export function openApiDocument(program: string): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of [...Object.values(endpoints), ...Object.values(jobEndpoints)] as readonly Endpoint[]) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tiller runner', version: program, description: 'Language models with intervention graphs, on another machine.' },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{ token: [] }],
    paths,
  };
}

import type * as v from 'valibot';
import {
  capabilities,
  captureBody,
  checkBody,
  clientMessage,
  description,
  errorAnswer,
  missingAnswer,
  missingBody,
  refusals,
  scoreBody,
  serverMessage,
  storedAnswer,
  tokenizerAnswer,
  wordBody,
} from './documents.ts';

type Schema = v.GenericSchema;

/** What a request carries. */
export type BodyKind = { readonly kind: 'none' } | { readonly kind: 'json'; readonly schema: Schema } | { readonly kind: 'bytes' };

/** What an answer is. `frames` are described in frames.ts, `socket` is a WebSocket with JSON messages. */
export type AnswerKind =
  | { readonly kind: 'json'; readonly schema: Schema }
  | { readonly kind: 'frames'; readonly of: string }
  | { readonly kind: 'events'; readonly schema: Schema }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'text' }
  | { readonly kind: 'socket'; readonly client: Schema; readonly server: Schema };

/** One row an endpoint: the server's routes, OpenAPI, the client's addresses and the table in docs/runner.md derive from it. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** `:name` stands for a parameter. */
  readonly path: string;
  readonly body: BodyKind;
  readonly answer: AnswerKind;
  /** Whether it answers without a token. @default false */
  readonly open?: true;
  readonly doc: string;
}

const none = { kind: 'none' } as const;
const json = <const S extends Schema>(schema: S) => ({ kind: 'json', schema }) as const;

export const endpoints = {
  capabilities: {
    method: 'GET',
    path: '/v1/capabilities',
    body: none,
    answer: json(capabilities),
    doc: 'models with shapes, points and state; edits, limits, adapter, memory, versions, how busy it is',
  },
  description: {
    method: 'GET',
    path: '/v1/models/:model',
    body: none,
    answer: json(description),
    doc: 'the shape of a model and where its weights come from; loads nothing',
  },
  tokenizer: {
    method: 'GET',
    path: '/v1/models/:model/tokenizer',
    body: none,
    answer: json(tokenizerAnswer),
    doc: 'tokenizer.json and tokenizer_config.json with the chat template, so that text is encoded where it is written',
  },
  load: {
    method: 'POST',
    path: '/v1/models/:model/load',
    body: none,
    answer: { kind: 'frames', of: 'ModelInfo: engine, adapter, precision, memory, self-test' },
    doc: 'loads a model where it is not loaded, with progress, and says how it runs',
  },
  check: {
    method: 'POST',
    path: '/v1/models/:model/check',
    body: json(checkBody),
    answer: json(refusals),
    doc: 'a dry run of a graph: refusals with reasons and remedies, before any weights are touched',
  },
  generate: {
    method: 'GET',
    path: '/v1/models/:model/generate',
    body: none,
    answer: { kind: 'socket', client: clientMessage, server: serverMessage },
    doc: 'WebSocket: tokens of all lanes as they come; a stop, or a closed socket, ends the run within a token',
  },
  score: {
    method: 'POST',
    path: '/v1/models/:model/score',
    body: json(scoreBody),
    answer: { kind: 'frames', of: 'Scores: log-probabilities, KL, edits, and what else was asked for' },
    doc: 'log-probabilities of given sequences, unedited and under a graph',
  },
  capture: {
    method: 'POST',
    path: '/v1/models/:model/capture',
    body: json(captureBody),
    answer: { kind: 'frames', of: 'Capture: one f32 array for each sequence, point and layer' },
    doc: 'activations at points, layers and positions: what was asked for and nothing else',
  },
  wordDirections: {
    method: 'POST',
    path: '/v1/models/:model/word-directions',
    body: json(wordBody),
    answer: { kind: 'frames', of: 'one f32 array, layers x heads x head_dim' },
    doc: "what every head would have to write to raise a word's logit directly: needs the weights, which stay on the runner",
  },
  missingTensors: {
    method: 'POST',
    path: '/v1/tensors/missing',
    body: json(missingBody),
    answer: json(missingAnswer),
    doc: 'which of these tensors the runner does not have',
  },
  putTensor: {
    method: 'PUT',
    path: '/v1/tensors/:hash',
    body: { kind: 'bytes' },
    answer: json(storedAnswer),
    doc: 'stores a tensor, little-endian f32, under its SHA-256; a graph then names it',
  },
  getTensor: {
    method: 'GET',
    path: '/v1/tensors/:hash',
    body: none,
    answer: { kind: 'bytes' },
    doc: 'a tensor by its SHA-256',
  },
  health: {
    method: 'GET',
    path: '/healthz',
    body: none,
    answer: { kind: 'text' },
    open: true,
    doc: '`ok`, or status 503 while it stops',
  },
  metrics: { method: 'GET', path: '/metrics', body: none, answer: { kind: 'text' }, doc: 'numbers for Prometheus' },
  openapi: { method: 'GET', path: '/openapi.json', body: none, answer: { kind: 'text' }, open: true, doc: 'this table as OpenAPI 3.1' },
} as const satisfies Record<string, Endpoint>;

export type EndpointName = keyof typeof endpoints;

/** What every endpoint answers where it cannot do what was asked: `{ "error": { code, message, why, fix, details } }`. */
export const errorSchema = errorAnswer;

/** The path of an endpoint with its parameters filled in. */
export function endpointPath(name: EndpointName, parameters: Readonly<Record<string, string>> = {}): string {
  return endpoints[name].path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(parameters[key] ?? ''));
}

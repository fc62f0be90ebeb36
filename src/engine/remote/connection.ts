import * as v from 'valibot';
import { catalogue, type ErrorCode } from '../../errors/catalogue.ts';
import { TillerError, type ErrorData } from '../../errors/error.ts';
import { isRecord } from '../../formats/json.ts';
import { runnerAddress } from './address.ts';
import { capabilities, errorAnswer, missingAnswer, storedAnswer, type Capabilities } from './documents.ts';
import { endpointPath, endpoints, type EndpointName } from './endpoints.ts';
import { littleBytes, readResult, type FrameListener } from './frames.ts';
import type { WireGraph } from './graph-wire.ts';
import { checkVersions, GRAPH_VERSION, PROTOCOL, SOCKET_PROTOCOL, SOCKET_TOKEN, TENSOR_TYPE, tokenPattern } from './protocol.ts';

/** What of a WebSocket is used: the browser's and that of `ws` both are one. */
export interface RunnerSocket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

/** The network, handed in: page, worker and Node differ only here. */
export interface Network {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  readonly socket: (url: string, protocols: string[]) => RunnerSocket;
  /** Origin of the page; null outside of browsers. */
  readonly origin: string | null;
}

export interface RunnerPlace {
  readonly address: string;
  readonly token: string | null;
}

type Parameters = Readonly<Record<string, string>>;

interface Asked {
  readonly parameters?: Parameters;
  readonly body?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

const reason = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  // Node's fetch says why only in the cause.
  return error.cause instanceof Error ? error.cause.message || String((error.cause as { code?: unknown }).code) : error.message;
};

/** A runner as page and command line see it: requests, typed errors, tensors by hash. Holds no connection open. */
export class Connection {
  readonly address: string;
  readonly #token: string | null;
  readonly #network: Network;

  /** @throws runner/address, runner/mixed-content, runner/token */
  constructor(place: RunnerPlace, network: Network) {
    this.address = runnerAddress(place.address, network.origin);
    const token = place.token?.trim() ?? '';
    if (token !== '' && !tokenPattern.test(token))
      throw new TillerError('runner/token', { problem: 'this is none: it has other characters or lengths' });
    this.#token = token === '' ? null : token;
    this.#network = network;
  }

  /** What the runner is and serves. @throws runner/version and what ask throws */
  async capabilities(signal?: AbortSignal): Promise<Capabilities> {
    const answer = await this.#answer('capabilities', { signal });
    const document = await this.#json(answer);
    // Versions first: a document of another version may look different everywhere else.
    if (isRecord(document) && typeof document.protocol === 'number' && typeof document.graph === 'number') {
      const program = typeof document.program === 'string' ? document.program : 'an unknown version';
      checkVersions({ protocol: document.protocol, graph: document.graph, program }, { protocol: PROTOCOL, graph: GRAPH_VERSION });
    }
    return this.#checked(capabilities, document);
  }

  /** The JSON answer of an endpoint, checked. @throws the runner's own error; runner/unreachable, runner/connection, runner/answer, request/aborted */
  async ask<const S extends v.GenericSchema>(name: EndpointName, schema: S, asked: Asked = {}): Promise<v.InferOutput<S>> {
    return this.#checked(schema, await this.#json(await this.#answer(name, asked)));
  }

  /** The result of an endpoint that answers in frames. @throws as ask */
  async frames(name: EndpointName, asked: Asked, listener: FrameListener = {}): Promise<unknown> {
    const { body } = await this.#answer(name, asked);
    if (!body) throw new TillerError('runner/answer', { problem: 'it has no content' });
    return this.#mended(asked.signal, () => readResult(chunksOf(body), listener));
  }

  /** The response of an endpoint, its status checked: for streams that have a form of their own. @throws as ask */
  open(name: EndpointName, asked: Asked = {}): Promise<Response> {
    return this.#answer(name, asked);
  }

  /** A WebSocket of an endpoint; the token goes along as a subprotocol. */
  socket(name: EndpointName, parameters: Parameters): RunnerSocket {
    const url = this.address.replace(/^http/, 'ws') + endpointPath(name, parameters);
    return this.#network.socket(url, this.#token === null ? [SOCKET_PROTOCOL] : [SOCKET_PROTOCOL, `${SOCKET_TOKEN}${this.#token}`]);
  }

  /** Sends the tensors that the runner does not have yet. @throws as ask */
  async sendTensors({ tensors }: Pick<WireGraph, 'tensors'>, signal?: AbortSignal): Promise<void> {
    if (tensors.size === 0) return;
    const { missing } = await this.ask('missingTensors', missingAnswer, { body: { hashes: [...tensors.keys()] }, signal });
    for (const hash of missing) {
      const data = tensors.get(hash);
      if (!data) throw new TillerError('runner/answer', { problem: 'it asks for a tensor that was not named' });
      await this.ask('putTensor', storedAnswer, { parameters: { hash }, bytes: littleBytes(data), signal });
    }
  }

  async #answer(name: EndpointName, { parameters, body, bytes, signal }: Asked): Promise<Response> {
    if (signal?.aborted) throw new TillerError('request/aborted');
    const headers: Record<string, string> = {};
    if (this.#token !== null) headers.authorization = `Bearer ${this.#token}`;
    if (bytes) headers['content-type'] = TENSOR_TYPE;
    else if (body !== undefined) headers['content-type'] = 'application/json';
    let response: Response;
    try {
      response = await this.#network.fetch(this.address + endpointPath(name, parameters), {
        method: endpoints[name].method,
        headers,
        body: bytes ?? (body === undefined ? undefined : JSON.stringify(body)),
        signal,
        // A runner sends nobody elsewhere; a redirect would carry the token along.
        redirect: 'error',
      });
    } catch (cause) {
      if (signal?.aborted) throw new TillerError('request/aborted', {}, { cause });
      throw this.unreachable(reason(cause), cause);
    }
    if (!response.ok) throw await this.#mended(signal, () => this.#refusal(response));
    return response;
  }

  unreachable(problem: string, cause?: unknown): TillerError {
    return new TillerError('runner/unreachable', { address: this.address, problem, origin: this.#network.origin ?? 'URL' }, { cause });
  }

  async #refusal(response: Response): Promise<TillerError> {
    const text = await response.text();
    return errorOf(text) ?? new TillerError('runner/answer', { problem: `status ${response.status}, without an error of a runner` });
  }

  async #json(response: Response): Promise<unknown> {
    const text = await this.#mended(undefined, () => response.text());
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new TillerError('runner/answer', { problem: 'it is not JSON' }, { cause });
    }
  }

  #checked<const S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
    const result = v.safeParse(schema, value, { abortEarly: true });
    if (result.success) return result.output;
    const [issue] = result.issues;
    throw new TillerError('runner/answer', { problem: `${v.getDotPath(issue) ?? 'the document'}: ${issue.message}` });
  }

  /** Names what breaks while an answer is read. */
  async #mended<T>(signal: AbortSignal | undefined, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (signal?.aborted) throw new TillerError('request/aborted', {}, { cause: error });
      if (error instanceof TillerError) throw error;
      throw new TillerError('runner/connection', { problem: reason(error) }, { cause: error });
    }
  }
}

/** The error in a runner's answer, or null where there is none that is known here. */
function errorOf(text: string): TillerError | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const result = v.safeParse(errorAnswer, parsed);
  return result.success ? runnerError(result.output.error) : null;
}

/** An error as the runner sent it. One whose code is not known here keeps its sentence. */
export function runnerError(error: v.InferOutput<typeof errorAnswer>['error']): TillerError {
  if (Object.hasOwn(catalogue, error.code)) return TillerError.fromJSON({ ...error, code: error.code as ErrorCode } satisfies ErrorData);
  return new TillerError('runner/answer', { problem: `${error.message} (${error.code})` });
}

/** Chunks of a body; not every browser can iterate over a stream itself. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

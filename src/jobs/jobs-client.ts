import { catalogue } from '../errors/catalogue.ts';
import { TillerError, type ErrorData } from '../errors/error.ts';
import type { JobResult } from './job-result.ts';
import { jobEnded, type JobDetails, type JobEvent, type JobSubmission, type JobView } from './job.ts';

/** The jobs of a runner, from a page or a command line. Every call may throw network/failed and the runner's own errors (jobs/*). */
export interface JobsClient {
  /**
   * Begins a job, or finds it where it was sent before. Vectors that the runner has already are not sent.
   * @param submission with all vectors of its graph
   */
  submit(submission: JobSubmission, signal?: AbortSignal): Promise<JobView>;
  /** @param from rows before this one are left out. @default 0 */
  get(id: string, from?: number, signal?: AbortSignal): Promise<JobDetails>;
  /** The newest first. */
  list(signal?: AbortSignal): Promise<JobView[]>;
  cancel(id: string, signal?: AbortSignal): Promise<JobView>;
  /** @throws jobs/unfinished */
  result(id: string, signal?: AbortSignal): Promise<JobResult>;
  /** Rows and views until the job has ended, over as many connections as it takes. The last event is a view of the ended job. */
  watch(id: string, signal?: AbortSignal): AsyncGenerator<JobEvent, void, void>;
}

export interface JobsClientOptions {
  /** Address of the runner: `http://127.0.0.1:8470`. */
  readonly address: string;
  readonly token: string | null;
  readonly fetch: typeof globalThis.fetch;
  /** Waits between connections, ms. */
  readonly pause: (ms: number) => Promise<void>;
}

/** Connections that may fail one after another before `watch` gives up, and the first pause between them, which doubles. */
const mostFailures = 8;
const firstPause = 250;

export function createJobsClient({ address, token, fetch, pause }: JobsClientOptions): JobsClient {
  const base = address.replace(/\/+$/, '');
  const request = async (method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal | undefined): Promise<Response> => {
    const url = `${base}${path}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (cause) {
      throw signal?.aborted ? new TillerError('request/aborted') : unreachable(url, cause);
    }
    if (!response.ok) throw await refusal(url, response);
    return response;
  };
  const json = async <T>(method: 'GET' | 'POST', path: string, body?: unknown, signal?: AbortSignal): Promise<T> => {
    const response = await request(method, path, body, signal);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw signal?.aborted ? new TillerError('request/aborted') : unreachable(`${base}${path}`, cause);
    }
  };

  const client: JobsClient = {
    async submit({ tensors, ...rest }, signal) {
      const view = await json<JobView>('POST', '/v1/jobs', rest, signal);
      if (view.missing.length === 0) return view;
      const wanted = Object.fromEntries(Object.entries(tensors ?? {}).filter(([hash]) => view.missing.includes(hash)));
      return json<JobView>('POST', '/v1/jobs', { ...rest, tensors: wanted }, signal);
    },
    get: (id, from = 0, signal) => json('GET', `/v1/jobs/${id}?from=${from}`, undefined, signal),
    list: async (signal) => (await json<{ jobs: JobView[] }>('GET', '/v1/jobs', undefined, signal)).jobs,
    cancel: (id, signal) => json('POST', `/v1/jobs/${id}/cancel`, {}, signal),
    result: (id, signal) => json('GET', `/v1/jobs/${id}/result`, undefined, signal),
    async *watch(id, signal) {
      let rows = 0;
      let failures = 0;
      let ended = false;
      while (!ended) {
        try {
          const response = await request('GET', `/v1/jobs/${id}/events?from=${rows}`, undefined, signal);
          for await (const event of eventsOf(response)) {
            failures = 0;
            if (event.type === 'row') rows = event.index + 1;
            ended = event.type === 'view' && jobEnded(event.view.state);
            yield event;
          }
          // The runner closed: it is stopping, or a proxy has a limit.
          if (!ended) await pause(firstPause);
        } catch (cause) {
          if (signal?.aborted) throw new TillerError('request/aborted');
          if (cause instanceof TillerError && cause.code !== 'network/failed') throw cause;
          failures += 1;
          if (failures >= mostFailures) throw cause instanceof TillerError ? cause : unreachable(base, cause);
          await pause(firstPause * 2 ** failures);
        }
      }
    },
  };
  return client;
}

function unreachable(url: string, cause: unknown): TillerError {
  return new TillerError('network/failed', { url, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
}

/** Lines of JSON as they come; a last line without its end is of a connection that broke, and is left to the next one. */
async function* eventsOf(response: Response): AsyncGenerator<JobEvent, void, void> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line) as JobEvent;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** A runner's answer that is no success, as the error it tells of. */
async function refusal(url: string, response: Response): Promise<TillerError> {
  const problem = `${response.status} ${response.statusText}`;
  try {
    const { error } = (await response.json()) as { error?: ErrorData };
    if (error && Object.hasOwn(catalogue, error.code)) return TillerError.fromJSON(error);
  } catch {
    // Not one of ours: a proxy's page.
  }
  return new TillerError('network/failed', { url, problem });
}

import { TillerError } from '../errors/error.ts';

/** What asking a server needs of the outside world. */
export interface FetchOptions {
  readonly fetch: typeof globalThis.fetch;
  /** Waits before a retry. @default setTimeout */
  readonly wait?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Headers of every request, such as an authorization that a person gave. Browsers and Node drop it where a redirect leads to another host. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Attempts per request before giving up. @default 4 */
  readonly attempts?: number;
}

/** Refusals that pass: busy, overloaded, restarting. */
const RETRIED_STATUS: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
/** A server that wants more patience than this is reported instead of waited for. */
const LONGEST_WAIT = 120_000;

export const plainWait = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Milliseconds that a busy server asks to wait: `Retry-After` in seconds or as a date, which is read by the server's own clock. */
export function retryAfter(response: Response): number | null {
  const text = response.headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text);
  const now = Date.parse(response.headers.get('date') ?? '');
  return Number.isFinite(until - now) ? Math.max(0, until - now) : null;
}

export const networkFailed = (url: string, problem: string): TillerError => new TillerError('network/failed', { url, problem });

/**
 * The reply to a request. Broken connections and busy servers are tried again, after the time they ask for or growing pauses.
 * Other refusals are replies like any other.
 * @throws network/failed, request/aborted
 */
export async function politeFetch(url: string, init: RequestInit, options: FetchOptions): Promise<Response> {
  const signal = init.signal ?? undefined;
  const { wait = plainWait, attempts = 4 } = options;
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw new TillerError('request/aborted');
    let problem: string;
    let pause = 500 * 2 ** (attempt - 1);
    try {
      const response = await options.fetch(url, { ...init, headers: { ...options.headers, ...init.headers } });
      if (!RETRIED_STATUS.includes(response.status)) return response;
      problem = `the server answered ${response.status}`;
      pause = retryAfter(response) ?? pause;
      await response.body?.cancel();
    } catch (cause) {
      if (signal?.aborted) throw new TillerError('request/aborted', {}, { cause });
      problem = cause instanceof Error ? cause.message : String(cause);
    }
    if (attempt >= attempts) throw networkFailed(url, `${problem} (${attempt} attempts)`);
    if (pause > LONGEST_WAIT) throw networkFailed(url, `${problem} and asks to come back in ${Math.ceil(pause / 1000)} s`);
    await wait(pause, signal);
  }
}

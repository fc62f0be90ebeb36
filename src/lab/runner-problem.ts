import { TillerError, type ErrorData } from '../errors/error.ts';

/** What a page cannot tell from the error alone, and what to type where. */

type Fetch = typeof globalThis.fetch;

/** Milliseconds that a runner has to say what it is. */
export const answerMs = 15_000;

/**
 * A browser tells a page the same, `failed to fetch`, of a server that is not there and of one that does not allow the page. A request whose
 * answer the page may not read tells them apart.
 * @param origin of the page
 */
export async function diagnose(error: TillerError, address: string, origin: string, fetch: Fetch): Promise<TillerError> {
  if (error.code !== 'runner/unreachable') return error;
  try {
    await fetch(`${address}/healthz`, { mode: 'no-cors', cache: 'no-store', signal: AbortSignal.timeout(answerMs) });
    return new TillerError('runner/origin', { origin }, { cause: error });
  } catch {
    return error;
  }
}

const isLocal = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\./.test(host);

/** A line to type, with what it is for. */
export interface Remedy {
  readonly text: string;
  readonly command: string | null;
}

/** What to do about it, to the letter; null where the error's own sentence says all. @param origin of the page */
export function remedyFor({ code }: Pick<ErrorData, 'code'>, address: string, origin: string): Remedy | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  const port = url && url.port !== '' ? ` --port ${url.port}` : '';
  const local = url !== null && isLocal(url.hostname);
  const start = `npx tiller serve${port === ' --port 4600' ? '' : port} --origin ${origin}`;
  const away = `npx tiller serve --address 0.0.0.0${port === ' --port 4600' ? '' : port} --origin ${origin}`;
  switch (code) {
    case 'runner/origin':
      return {
        text: 'Something answers there, but not to this page. If it is your runner, stop it and start it with this page’s origin:',
        command: local ? start : away,
      };
    case 'runner/unreachable':
      return {
        text: local
          ? 'Start it on this machine:'
          : `Start it on that machine (it prints its address and a token)${isLocal(new URL(origin).hostname) ? '' : ', and allow this page to reach devices of your network if the browser asks'}:`,
        command: local ? start : away,
      };
    case 'runner/mixed-content':
      return {
        text: 'Without a certificate: tunnel it to this machine and add the address of this end, http://localhost:4600.',
        command: url ? `ssh -L 4600:127.0.0.1:${url.port || '80'} ${url.hostname}` : null,
      };
    case 'runner/token':
      return { text: 'The runner showed its token when it was started.', command: null };
    default:
      return null;
  }
}

import { TillerError } from '../../errors/error.ts';

/** Browsers take these for this machine, whatever the page came over. */
const localNames = new Set(['localhost', '127.0.0.1', '[::1]']);
const isLocal = (host: string): boolean => localNames.has(host) || host.endsWith('.localhost') || /^127\./.test(host);

/**
 * The address of a runner as a person gives it, without a slash at its end. A bare `host:port` is taken as http.
 * @param origin of the page that asks; null outside of browsers
 * @throws runner/address; runner/mixed-content where a browser would not let the page reach it
 */
export function runnerAddress(given: string, origin: string | null): string {
  const text = given.trim();
  const refuse = (problem: string): never => {
    throw new TillerError('runner/address', { address: text.slice(0, 200), problem });
  };
  if (text === '') return refuse('it is empty');
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    return refuse('it cannot be read');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('it begins with neither http:// nor https://');
  if (url.username !== '' || url.password !== '') return refuse('a token goes beside the address, not into it');
  if (url.search !== '' || url.hash !== '') return refuse('it has a query or a fragment');
  const address = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  if (origin?.startsWith('https:') && url.protocol === 'http:' && !isLocal(url.hostname)) {
    throw new TillerError('runner/mixed-content', { address });
  }
  return address;
}

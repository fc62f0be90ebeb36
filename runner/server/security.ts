import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SOCKET_PROTOCOL, SOCKET_TOKEN } from '../../src/engine/remote/protocol.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { RunnerConfig } from './config.ts';

/** Who may use a runner: checked before a body is read or a socket is opened, for every path alike. */

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares in a time that says nothing of where two tokens differ. */
export const sameToken = (given: string, token: string): boolean => timingSafeEqual(digest(given), digest(token));

/** A token from the Authorization header, or from the subprotocols of a WebSocket; null where there is none. */
function givenToken({ headers }: FastifyRequest): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '');
  if (bearer) return bearer[1];
  const protocols = headers['sec-websocket-protocol'] ?? '';
  for (const protocol of protocols.split(',').map((text) => text.trim())) {
    if (protocol.startsWith(SOCKET_TOKEN)) return protocol.slice(SOCKET_TOKEN.length);
  }
  return null;
}

/** `host` of a Host header without its port, an IPv6 address without brackets. */
function hostName(header: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(header);
  return (bracketed ? bracketed[1] : header.replace(/:\d+$/, '')).toLowerCase();
}

/**
 * A page of another domain can make its own name mean this machine (DNS rebinding), and the browser then takes a runner here for that
 * page's own server. Its requests carry the page's name, so a runner without a token answers to numbers and names of this machine only.
 */
function checkHost(request: FastifyRequest, config: RunnerConfig): void {
  if (config.token !== null) return;
  const name = hostName(request.headers.host ?? '');
  if (name === 'localhost' || isIP(name) !== 0 || config.hostNames.some((known) => known.toLowerCase() === name)) return;
  throw new TillerError('runner/host', { host: name.slice(0, 200) || 'nobody' });
}

function allow(reply: FastifyReply, origin: string): void {
  reply.header('access-control-allow-origin', origin);
  reply.header('vary', 'Origin');
}

/** Adds the checks to an app. Paths of the `open` list need no token. */
export function secure(app: FastifyInstance, config: RunnerConfig, open: ReadonlySet<string>): void {
  const origins = new Set(config.origins);

  app.addHook('onRequest', async (request, reply) => {
    checkHost(request, config);
    const { origin } = request.headers;
    if (origin !== undefined) {
      if (!origins.has(origin)) throw new TillerError('runner/origin', { origin: origin.slice(0, 200) });
      allow(reply, origin);
    }
    if (request.method === 'OPTIONS' && origin !== undefined) return preflight(request, reply);
    if (config.token === null || open.has(request.routeOptions.url ?? '')) return;
    const token = givenToken(request);
    if (token === null) throw new TillerError('runner/token', { problem: 'there is none' });
    if (!sameToken(token, config.token)) throw new TillerError('runner/token', { problem: 'it is another one' });
  });
}

/** What a browser asks before it sends a request of another origin, to a private network too. */
function preflight(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('access-control-allow-methods', 'GET, POST, PUT');
  reply.header('access-control-allow-headers', 'authorization, content-type, last-event-id');
  reply.header('access-control-max-age', '600');
  if (request.headers['access-control-request-private-network'] === 'true') reply.header('access-control-allow-private-network', 'true');
  return reply.code(204).send();
}

/** The subprotocol that a socket gets: the wire's, never the one that holds the token. */
export const acceptedProtocol = (offered: ReadonlySet<string>): string | false => (offered.has(SOCKET_PROTOCOL) ? SOCKET_PROTOCOL : false);

import { TillerError } from '../../errors/error.ts';

/**
 * Version of the wire between page or command line and a runner. It changes only when an older side could misunderstand a newer one, and has
 * nothing to do with the program's version.
 */
export const PROTOCOL = 1;
/** Version of intervention graph documents (`tiller` of a document). */
export const GRAPH_VERSION = 1;

/** What both sides say of themselves before anything else. */
export interface Versions {
  readonly protocol: number;
  /** Of the program. */
  readonly program: string;
  readonly graph: number;
}

/**
 * Compares two sides.
 * @throws runner/version, which says which side is older and what to do
 */
export function checkVersions(runner: Versions, here: Pick<Versions, 'protocol' | 'graph'>): void {
  for (const [what, theirs, ours] of [
    ['the protocol', runner.protocol, here.protocol],
    ['graph documents', runner.graph, here.graph],
  ] as const) {
    if (theirs === ours) continue;
    const older = theirs < ours ? 'the runner' : 'this side';
    const remedy =
      theirs < ours
        ? `Update Tiller on the runner (it has ${runner.program}) and start it again.`
        : `Update Tiller here, or reload the page; the runner has ${runner.program}.`;
    throw new TillerError('runner/version', { what, theirs, ours, older, remedy });
  }
}

/** Content types of answers and bodies that are no JSON. */
export const FRAMES_TYPE = 'application/vnd.tiller.frames';
export const TENSOR_TYPE = 'application/octet-stream';

/** Subprotocols of a WebSocket: the wire's version, and the token, which browsers can send in no header. */
export const SOCKET_PROTOCOL = `tiller.${PROTOCOL}`;
export const SOCKET_TOKEN = 'tiller.token.';

/** Tokens go in headers and subprotocols, so they are made of what both may hold. */
export const tokenPattern = /^[A-Za-z0-9._~-]{16,256}$/;

import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

/** How a hub names the content of a file: large ones by their SHA-256, small ones by the SHA-1 of the git blob. */
export type HashKind = 'sha256' | 'git-sha1';

export interface FileHash {
  readonly kind: HashKind;
  /** Lower case. */
  readonly hex: string;
}

/** A hash that is fed piece by piece. */
export interface Hasher {
  update(bytes: Uint8Array): unknown;
  /** Lower case hexadecimal. */
  end(): string;
}

/** @param bytes of the whole file: git hashes them in front of its content */
export type MakeHasher = (kind: HashKind, bytes: number) => Hasher;

export const gitBlobHeader = (bytes: number): Uint8Array => new TextEncoder().encode(`blob ${bytes}\0`);

/** Works everywhere; in Node its own library is faster. */
export const plainHasher: MakeHasher = (kind, bytes) => {
  const hash = kind === 'sha256' ? sha256.create() : sha1.create();
  if (kind === 'git-sha1') hash.update(gitBlobHeader(bytes));
  return { update: (piece) => hash.update(piece), end: () => bytesToHex(hash.digest()) };
};

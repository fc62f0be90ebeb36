import { canonicalGraph, canonicalJson } from './canonical.ts';
import type { GraphDocument, Vector } from './document.ts';
import { sha256Hex, tensorSha256 } from './sha256.ts';

/** The identity of a graph: SHA-256 (hex) of the RFC 8785 text of canonicalGraph. Takes a document that parseGraph accepts. */
export function graphHash(document: GraphDocument): string {
  return sha256Hex(new TextEncoder().encode(canonicalJson(canonicalGraph(document))));
}

/** The `sha256` of a vector in a document: of its values as little-endian f32, row after row. The shape stands beside it. */
export function vectorHash(vector: Pick<Vector, 'data'>): string {
  return tensorSha256(vector.data);
}

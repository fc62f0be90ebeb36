import { canonicalJson } from '../graph/canonical.ts';
import { sha256Hex } from '../graph/sha256.ts';
import type { Example, ExampleSet } from './example.ts';

function content(row: Example): Readonly<Record<string, string | number | readonly string[]>> {
  const { line, ...rest } = row;
  void line;
  return rest;
}

/** Hex SHA-256 of the canonical JSON (RFC 8785) of kind, classes and rows; neither the name nor line numbers matter. */
export function exampleSetHash(set: Pick<ExampleSet, 'kind' | 'classes' | 'rows'>): string {
  const value = { kind: set.kind, classes: set.classes, rows: set.rows.map(content) };
  return sha256Hex(new TextEncoder().encode(canonicalJson(value)));
}

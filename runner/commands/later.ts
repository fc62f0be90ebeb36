import { TillerError } from '../../src/errors/error.ts';
import type { Command } from '../command.ts';

/** Verbs that the contract names and that are not built yet. They say so, whatever else is on the line. */
const later = (verb: string, summary: string): Command => ({
  verb,
  summary: `${summary} (not there yet)`,
  usage: verb,
  options: [],
  run: () => Promise.reject(new TillerError('command/later', { verb })),
});

export const serve = later('serve', 'a runner that serves an engine over HTTP');

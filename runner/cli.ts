import { readFileSync } from 'node:fs';
import { TillerError } from '../src/errors/error.ts';
import type { Command } from './command.ts';
import { captureCommand } from './commands/capture.ts';
import { generateCommand } from './commands/generate.ts';
import { info } from './commands/info.ts';
import { fit, serve } from './commands/later.ts';
import { models } from './commands/models.ts';
import { scoreCommand } from './commands/score.ts';
import { overview, verbHelp } from './help.ts';
import { parseOptions, usage } from './options.ts';
import { asTillerError, errorDocument, openOutput, type Output } from './output.ts';

/** The verbs, in the order in which the help lists them. */
const commands: readonly Command[] = [info, generateCommand, scoreCommand, captureCommand, fit, serve, models];

function find(verb: string): Command {
  const command = commands.find((known) => known.verb === verb);
  if (!command) throw usage(`there is no verb "${verb}"; there are ${commands.map((known) => known.verb).join(', ')}`);
  return command;
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

function help(text: string, output: Output): void {
  output.text(text);
  output.result({ help: text });
}

async function dispatch(argv: readonly string[], output: Output, signal: AbortSignal): Promise<void> {
  const [verb, ...rest] = argv;
  if (verb === undefined || verb === '--json') throw usage('a verb is needed: ' + commands.map((command) => command.verb).join(', '));
  if (verb === '--version' || verb === 'version') {
    output.text(`${version()}\n`);
    output.result({ version: version() });
    return;
  }
  if (verb === 'help' || verb === '--help' || verb === '-h') {
    const topic = rest.find((word) => !word.startsWith('-'));
    help(topic === undefined ? overview(commands) : verbHelp(find(topic)), output);
    return;
  }
  const command = find(verb);
  if (rest.includes('--help')) {
    help(verbHelp(command), output);
    return;
  }
  // A verb that is not there yet says so before it complains about its options.
  if (command.options.length === 0 && command !== models) return command.run(parseOptions(verb, [], []), output, signal);
  await command.run(parseOptions(verb, rest, [...command.options, 'json', 'help'], command.words), output, signal);
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Standard output may be a pipe, which is written to in the background: the process must not end before that is done. */
const written = (stream: NodeJS.WriteStream, text: string): Promise<void> => new Promise((resolve) => stream.write(text, () => resolve()));

/** The command line. Ends the process with status 0, 1 for a failure, 2 for wrong usage. */
export async function main(argv: readonly string[]): Promise<never> {
  // A reader that closes early (`| head`) is no failure of ours.
  process.stdout.on('error', () => process.exit(0));
  const output = openOutput(argv.includes('--json'));
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  process.once('SIGTERM', () => abort.abort());
  let status = 0;
  let document: string | null;
  try {
    await dispatch(argv, output, abort.signal);
    document = output.document();
  } catch (thrown) {
    const error = abort.signal.aborted ? new TillerError('request/aborted') : asTillerError(thrown);
    status = error.code === 'usage' ? 2 : 1;
    output.note(`${sentence(error.message)} ${sentence(error.fix)} (${error.code})`);
    if (process.env.TILLER_DEBUG && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`);
    document = errorDocument(error);
  }
  await written(process.stdout, output.json && document !== null ? document : '');
  await written(process.stderr, '');
  process.exit(status);
}

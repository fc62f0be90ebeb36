import { TillerError } from '../src/errors/error.ts';
import type { Command } from './command.ts';
import { captureCommand } from './commands/capture.ts';
import { generateCommand } from './commands/generate.ts';
import { importCommand } from './commands/import.ts';
import { info } from './commands/info.ts';
import { damageCommand } from './commands/damage.ts';
import { fitCommand } from './commands/fit.ts';
import { jobsCommand } from './commands/jobs.ts';
import { mcCommand } from './commands/mc.ts';
import { models } from './commands/models.ts';
import { patchCommand } from './commands/patch.ts';
import { plan } from './commands/plan.ts';
import { scoreCommand } from './commands/score.ts';
import { serve } from './commands/serve.ts';
import { sweepCommand } from './commands/sweep.ts';
import { overview, verbHelp } from './help.ts';
import { parseOptions, usage } from './options.ts';
import { asTillerError, errorDocument, openOutput, type Output, type Sink } from './output.ts';
import { version } from './version.ts';

/** The verbs, in the order in which the help lists them. */
const commands: readonly Command[] = [
  info,
  generateCommand,
  scoreCommand,
  captureCommand,
  fitCommand,
  sweepCommand,
  patchCommand,
  mcCommand,
  damageCommand,
  importCommand,
  jobsCommand,
  serve,
  plan,
  models,
];

function find(verb: string): Command {
  const command = commands.find((known) => known.verb === verb);
  if (!command) throw usage(`there is no verb "${verb}"; there are ${commands.map((known) => known.verb).join(', ')}`);
  return command;
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
  await command.run(parseOptions(verb, rest, [...command.options, 'json', 'help'], command.words), output, signal);
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/**
 * Runs a command line to its end and returns the exit status: 0, 1 for a failure, 2 for wrong usage.
 * @param signal aborts the work; the error is then request/aborted
 */
export async function execute(argv: readonly string[], stdout: Sink, stderr: Sink, signal: AbortSignal): Promise<number> {
  const output = openOutput(argv.includes('--json'), stdout, stderr);
  try {
    await dispatch(argv, output, signal);
    if (output.json) stdout.write(output.document() ?? '');
    return 0;
  } catch (thrown) {
    const error = signal.aborted ? new TillerError('request/aborted') : asTillerError(thrown);
    output.note(`${sentence(error.message)} ${sentence(error.fix)} (${error.code})`);
    if (process.env.TILLER_DEBUG && error.cause instanceof Error) stderr.write(`${error.cause.stack}\n`);
    if (output.json) stdout.write(errorDocument(error));
    return error.code === 'usage' ? 2 : 1;
  }
}

/** Standard output may be a pipe, which is written to in the background: the process must not end before that is done. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> => new Promise((resolve) => stream.write('', () => resolve()));

/** The command line as a program: ends the process. */
export async function main(argv: readonly string[]): Promise<never> {
  // A reader that closes early (`| head`) is no failure of ours.
  process.stdout.on('error', () => process.exit(0));
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  process.once('SIGTERM', () => abort.abort());
  const status = await execute(argv, process.stdout, process.stderr, abort.signal);
  await flushed(process.stdout);
  await flushed(process.stderr);
  process.exit(status);
}

import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Exit status; 124 when it ran out of time, 127 when it could not be started. */
  readonly status: number;
  /** Standard output and standard error together, in the order they came. */
  readonly output: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the command is ended. */
  readonly timeout?: number;
}

/** Runs a program to its end and keeps what it says. Never throws: a program that cannot be started has status 127. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve) => {
    let output = '';
    let timedOut = false;
    // A group of its own, so that running out of time ends what the program started, too.
    const child = spawn(program, args, { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const timer = setTimeout(
      () => {
        timedOut = true;
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      },
      options.timeout ?? 20 * 60_000,
    );
    const keep = (chunk: Buffer): void => void (output += chunk.toString('utf8'));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ status: 127, output: `${output}${error.message}\n` });
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status: timedOut ? 124 : (status ?? 1), output: timedOut ? `${output}\nran out of time\n` : output });
    });
  });
}

/** Runs a JavaScript program of a dependency with this Node: faster than npx, and the version is the lock file's. */
export const runTool = (script: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult> =>
  runCommand(process.execPath, [script, ...args], options);

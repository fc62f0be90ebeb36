import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ContestantTask, Turn } from './contestant.ts';

/** A turn, and the most memory that its process has had so far, in bytes. */
export interface MeasuredTurn extends Turn {
  readonly peak: number;
}

/** A contestant in a process of its own. */
export class NodeContestant {
  private readonly child: ChildProcess;

  constructor() {
    this.child = fork(fileURLToPath(new URL('contestant-child.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
  }

  open(task: ContestantTask): Promise<{ readonly detail: string; readonly notes: readonly string[]; readonly loadMs: number }> {
    return this.ask({ open: task });
  }

  turn(prompt: readonly number[], tokens: number): Promise<MeasuredTurn> {
    return this.ask({ prompt, tokens });
  }

  async close(): Promise<void> {
    this.child.kill();
  }

  private ask<Answer>(message: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null, signal: string | null): void => reject(new Error(`its process ended with ${signal ?? code}`));
      this.child.once('exit', ended);
      this.child.once('message', (reply: { error?: string }) => {
        this.child.off('exit', ended);
        if (reply.error === undefined) resolve(reply as Answer);
        else reject(new Error(reply.error));
      });
      this.child.send(message);
    });
  }
}

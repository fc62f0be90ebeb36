import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What the peer's answer to any task holds besides its own: milliseconds on the clock and of the processor. */
export interface PeerTiming {
  readonly wall: number;
  readonly cpu: number;
}

/** PyTorch in a process of its own, which does one task at a time. */
export interface TorchPeer {
  readonly version: string;
  run<Answer>(task: string, details: Readonly<Record<string, unknown>>): Promise<Answer & PeerTiming>;
  close(): void;
}

/** The process, or why there is none. The interpreter is TILLER_BENCH_PYTHON, else python3. */
export async function openTorchPeer(): Promise<TorchPeer | string> {
  const python = process.env.TILLER_BENCH_PYTHON ?? 'python3';
  const child = spawn(python, [fileURLToPath(new URL('torch_peer.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${python} does not start: ${error.message}`));
    child.once('exit', (code) => resolve(`${python} ended with ${code}`));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    const line = await Promise.race([lines.next(), ended]);
    if (typeof line === 'string' || line.done) throw new Error(typeof line === 'string' ? line : await ended);
    return JSON.parse(line.value) as Record<string, unknown>;
  };
  const first = await next().catch((error: unknown) => ({ missing: error instanceof Error ? error.message : String(error) }));
  if (!('ready' in first)) {
    child.kill();
    return `no PyTorch: ${String('missing' in first ? first.missing : 'it says nothing')}`;
  }
  return {
    version: String(first.ready),
    async run<Answer>(task: string, details: Readonly<Record<string, unknown>>) {
      child.stdin.write(`${JSON.stringify({ task, ...details })}\n`);
      const answer = await next();
      if ('error' in answer) throw new Error(`PyTorch: ${String(answer.error)}`);
      return answer as Answer & PeerTiming;
    },
    close: () => child.kill(),
  };
}

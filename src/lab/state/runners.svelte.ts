import { runnerAddress } from '../../engine/remote/address.ts';
import { Connection } from '../../engine/remote/connection.ts';
import type { Capabilities } from '../../engine/remote/documents.ts';
import { TillerError, type ErrorData } from '../../errors/error.ts';
import { browserNetwork } from '../browser-network.ts';
import { answerMs, diagnose } from '../runner-problem.ts';
import { asError } from './notices.svelte.ts';
import { readRunners, writeRunners, type RunnerEntry } from './runner-tokens.ts';

/** What is known of a runner: the last it said of itself, and why it does not answer now. */
export interface RunnerView {
  readonly capabilities: Capabilities | null;
  readonly error: ErrorData | null;
}

/** Milliseconds between two looks: while it works, while it rests, and at most after failures. */
const busyMs = 2000;
const restMs = 10_000;
const mostMs = 120_000;

const fetchHere: typeof fetch = (...args) => fetch(...args);

/** Runners that were added on the Models page. They are asked how they are only while somebody looks at the page. */
class Runners {
  list = $state.raw<readonly RunnerEntry[]>([]);
  views = $state.raw<Readonly<Record<string, RunnerView>>>({});
  /** An address that a link brought, for the form. */
  wanted = $state<string | null>(null);
  #failures = new Map<string, number>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #watchers = 0;

  start(): void {
    this.list = readRunners();
    document.addEventListener('visibilitychange', () => {
      if (this.#watched) for (const { address } of this.list) this.#soon(address, 0);
    });
  }

  get #watched(): boolean {
    return this.#watchers > 0 && document.visibilityState === 'visible';
  }

  entry(address: string): RunnerEntry | null {
    return this.list.find((row) => row.address === address) ?? null;
  }

  tokenFor(address: string): string | null {
    return this.entry(address)?.token ?? null;
  }

  /** A runner's own statement of itself. @throws runner/*, with what only a browser can find out */
  async ask({ address, token }: Pick<RunnerEntry, 'address' | 'token'>): Promise<Capabilities> {
    const { origin } = location;
    const timeout = AbortSignal.timeout(answerMs);
    try {
      const connection = new Connection({ address, token }, browserNetwork());
      return await connection.capabilities(timeout);
    } catch (cause) {
      if (!(cause instanceof TillerError)) throw cause;
      const error =
        cause.code === 'request/aborted'
          ? new TillerError('runner/unreachable', { address, origin, problem: `no answer in ${answerMs / 1000} s` })
          : cause;
      throw await diagnose(error, address, origin, fetchHere);
    }
  }

  /**
   * Adds a runner that answers, or gives it another token.
   * @param typed the address as a person writes it
   * @throws runner/*
   */
  async add(typed: string, token: string | null, remember: boolean): Promise<string> {
    const address = runnerAddress(typed, location.origin);
    const entry = { address, token: token === '' ? null : token, remember };
    const capabilities = await this.ask(entry);
    this.list = [...this.list.filter((row) => row.address !== address), entry];
    this.#show(address, { capabilities, error: null });
    writeRunners(this.list);
    this.#soon(address, busyMs);
    return address;
  }

  remove(address: string): void {
    clearTimeout(this.#timers.get(address));
    this.#timers.delete(address);
    this.list = this.list.filter((row) => row.address !== address);
    this.views = Object.fromEntries(Object.entries(this.views).filter(([key]) => key !== address));
    writeRunners(this.list);
  }

  /** Looks at all runners from time to time until the answer is called: for as long as something shows them. */
  watch(): () => void {
    this.#watchers += 1;
    for (const { address } of this.list) this.#soon(address, 0);
    return () => {
      this.#watchers -= 1;
    };
  }

  /** Looks at one now. */
  async look(address: string): Promise<void> {
    const entry = this.entry(address);
    if (!entry) return;
    try {
      const capabilities = await this.ask(entry);
      this.#failures.delete(address);
      this.#show(address, { capabilities, error: null });
    } catch (cause) {
      this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1);
      this.#show(address, { capabilities: this.views[address]?.capabilities ?? null, error: asError(cause) });
    }
  }

  #show(address: string, view: RunnerView): void {
    this.views = { ...this.views, [address]: view };
  }

  #soon(address: string, ms: number): void {
    clearTimeout(this.#timers.get(address));
    this.#timers.set(
      address,
      setTimeout(() => {
        if (!this.#watched || !this.entry(address)) return;
        void this.look(address).then(() => this.#soon(address, this.#pause(address)));
      }, ms),
    );
  }

  #pause(address: string): number {
    const failures = this.#failures.get(address) ?? 0;
    if (failures > 0) return Math.min(mostMs, busyMs * 2 ** failures);
    const capabilities = this.views[address]?.capabilities;
    const works =
      capabilities &&
      (capabilities.busy.running + capabilities.busy.queued + capabilities.busy.jobs > 0 ||
        capabilities.models.some(({ state }) => state === 'loading'));
    return works ? busyMs : restMs;
  }
}

export const runners = new Runners();

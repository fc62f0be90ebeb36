import { TillerError, type ErrorData } from '../../errors/error.ts';

export interface Notice {
  readonly id: number;
  readonly error: ErrorData | null;
  readonly text: string;
}

/** Sentences that the page has to say outside of any one panel. They stay until they are closed, or for a while if they only confirm. */
class Notices {
  list = $state.raw<readonly Notice[]>([]);
  #next = 1;

  say(text: string): void {
    const id = this.#next++;
    this.list = [...this.list, { id, error: null, text }];
    setTimeout(() => this.close(id), 6000);
  }

  fail(cause: unknown): void {
    const error = asError(cause);
    if (error.code === 'request/aborted') return;
    this.list = [
      ...this.list.filter((notice) => notice.error?.message !== error.message),
      { id: this.#next++, error, text: error.message },
    ];
  }

  close(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();

/** Any thrown value as an error that can be shown. */
export function asError(cause: unknown): ErrorData {
  if (cause instanceof TillerError) return cause.toJSON();
  return new TillerError('internal', { problem: cause instanceof Error ? cause.message : String(cause) }).toJSON();
}

import { TillerError } from '../../src/errors/error.ts';

/** Bytes that may be held at once: taken before they are allocated, given back when they are gone. */
export class Budget {
  #taken = 0;

  constructor(private readonly most: number) {}

  get taken(): number {
    return this.#taken;
  }

  /** @returns gives them back, once @throws runner/busy */
  take(bytes: number): () => void {
    if (this.#taken + bytes > this.most)
      throw new TillerError('runner/busy', { problem: 'answers to others take up what memory there is for them' });
    this.#taken += bytes;
    let given = false;
    return () => {
      if (!given) this.#taken -= bytes;
      given = true;
    };
  }
}

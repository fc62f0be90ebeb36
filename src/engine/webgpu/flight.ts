/**
 * Work that the device is still at, a little of it: enough that it never waits for us, not so much that Stop would wait for it.
 */
export class Flight {
  private readonly pending: Promise<void>[] = [];

  constructor(private readonly most = 2) {}

  /** Adds work and waits until there is room for more. Rejects with the first failure. */
  async add(work: Promise<void>): Promise<void> {
    // Someone waits for it later; until then a failure is nobody's.
    work.catch(() => undefined);
    this.pending.push(work);
    while (this.pending.length >= this.most) await this.pending.shift();
  }

  /** Waits for everything. */
  async land(): Promise<void> {
    for (let next = this.pending.shift(); next; next = this.pending.shift()) await next;
  }
}

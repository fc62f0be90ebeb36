import * as v from 'valibot';
import { readStored, writeStored } from './stored.ts';

const schema = v.object({ hub: v.string(), token: v.string() });

const plain = (hub: string): string => hub.replace(/\/+$/, '');

/** The access token that a person gave for one hub: in memory, and in the browser's storage only where they ask for it. */
class HubToken {
  #token = $state('');
  #hub = $state('');
  kept = $state(false);

  start(): void {
    const stored = v.safeParse(schema, readStored('hub-token'));
    if (!stored.success) return;
    [this.#token, this.#hub, this.kept] = [stored.output.token, stored.output.hub, true];
  }

  /** The token for a hub; null where it was given for another one. */
  for(hub: string): string | null {
    return this.#token !== '' && this.#hub === plain(hub) ? this.#token : null;
  }

  set(token: string, hub: string): void {
    [this.#token, this.#hub] = [token.trim(), plain(hub)];
    this.#store();
  }

  keep(kept: boolean): void {
    this.kept = kept;
    this.#store();
  }

  forget(): void {
    [this.#token, this.#hub, this.kept] = ['', '', false];
    this.#store();
  }

  #store(): void {
    writeStored('hub-token', this.kept && this.#token !== '' ? { hub: this.#hub, token: this.#token } : null);
  }
}

export const hubToken = new HubToken();

import type { PageKey } from './router.svelte.ts';

/** Long work of a page that goes on while another page is open. The engine does one thing at a time, so others wait for it. */
export interface BackgroundWork {
  readonly title: string;
  readonly text: string;
  readonly page: PageKey;
  readonly stop: () => void;
}

class Background {
  work = $state.raw<BackgroundWork | null>(null);
}

export const background = new Background();

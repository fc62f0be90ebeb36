/** Pages by the address's hash: `#/steer`, `#/models`, ... A shared run stands behind it: `#/steer?run=...`. */
export const pages = [
  { key: 'steer', label: 'Steer' },
  { key: 'fit', label: 'Fit' },
  { key: 'evaluate', label: 'Evaluate' },
  { key: 'models', label: 'Models' },
  { key: 'learn', label: 'Learn' },
  { key: 'settings', label: 'Settings' },
] as const;

export type PageKey = (typeof pages)[number]['key'];

const parse = (hash: string): { page: PageKey; run: string | null } => {
  const [path, query] = hash.replace(/^#\/?/, '').split('?', 2);
  const page = pages.find((row) => row.key === path)?.key ?? 'steer';
  return { page, run: new URLSearchParams(query ?? '').get('run') };
};

class Router {
  page = $state<PageKey>('steer');
  #listen: (run: string) => void = () => undefined;

  /** @param onRun called with the text of a shared run, at the start and whenever a link is followed */
  start(onRun: (run: string) => void): void {
    this.#listen = onRun;
    window.addEventListener('hashchange', () => this.#read());
    this.#read();
  }

  #read(): void {
    const { page, run } = parse(location.hash);
    this.page = page;
    if (run === null) return;
    this.#listen(run);
    // What is in the link now lives in the page's state; left in the address, a reload would undo every later edit.
    history.replaceState(null, '', `#/${page}`);
  }

  go(page: PageKey): void {
    location.hash = `#/${page}`;
  }
}

export const router = new Router();

/** The address of this page with a run in it. */
export const linkTo = (run: string): string => `${location.origin}${location.pathname}#/steer?run=${run}`;

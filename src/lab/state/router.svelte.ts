/** Pages by the address's hash: `#/steer`, `#/models`, ... A shared run stands behind it (`#/steer?run=...`), or what is fitted (`#/fit?set=...&method=...`). */
export const pages = [
  { key: 'steer', label: 'Steer' },
  { key: 'fit', label: 'Fit' },
  { key: 'evaluate', label: 'Evaluate' },
  { key: 'models', label: 'Models' },
  { key: 'jobs', label: 'Jobs' },
  { key: 'learn', label: 'Learn' },
  { key: 'settings', label: 'Settings' },
] as const;

export type PageKey = (typeof pages)[number]['key'];

const parse = (hash: string): { page: PageKey; query: URLSearchParams } => {
  const [path, query] = hash.replace(/^#\/?/, '').split('?', 2);
  const page = pages.find((row) => row.key === path)?.key ?? 'steer';
  return { page, query: new URLSearchParams(query ?? '') };
};

class Router {
  page = $state<PageKey>('steer');
  /** What stands behind the page's name in the address. */
  query = $state.raw(new URLSearchParams());
  #listen: (run: string) => void = () => undefined;

  /** @param onRun called with the text of a shared run, at the start and whenever a link is followed */
  start(onRun: (run: string) => void): void {
    this.#listen = onRun;
    window.addEventListener('hashchange', () => this.#read());
    this.#read();
  }

  #read(): void {
    const { page, query } = parse(location.hash);
    const run = query.get('run');
    this.page = page;
    this.query = query;
    if (run === null) return;
    this.#listen(run);
    // What is in the link now lives in the page's state; left in the address, a reload would undo every later edit.
    history.replaceState(null, '', `#/${page}`);
  }

  /** Writes what a page wants to have in its address, without a step of the browser's history. Nothing is called for it. */
  describe(page: PageKey, query: Readonly<Record<string, string>>): void {
    const text = new URLSearchParams(query).toString();
    if (this.page === page) history.replaceState(null, '', `#/${page}${text === '' ? '' : `?${text}`}`);
  }

  go(page: PageKey): void {
    location.hash = `#/${page}`;
  }
}

export const router = new Router();

/** The address of this page with a run in it. */
export const linkTo = (run: string): string => `${location.origin}${location.pathname}#/steer?run=${run}`;

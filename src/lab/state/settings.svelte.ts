import * as v from 'valibot';
import { engineChoices, type EngineChoice } from '../engine-choice.ts';
import { readStored, writeStored } from './stored.ts';

const schema = v.object({
  theme: v.optional(v.picklist(['auto', 'light', 'dark']), 'auto'),
  hub: v.optional(v.pipe(v.string(), v.url()), 'https://huggingface.co'),
  engine: v.optional(v.picklist(engineChoices), 'auto'),
  autoload: v.optional(v.boolean(), true),
});

export type Theme = v.InferOutput<typeof schema>['theme'];

/** What a person chose once for all: kept in the browser, never in links. */
class Settings {
  theme = $state<Theme>('auto');
  hub = $state('https://huggingface.co');
  engine = $state<EngineChoice>('auto');
  /** Whether the embedded model is loaded when the page opens. */
  autoload = $state(true);
  #prefersDark = $state(false);

  start(): void {
    const result = v.safeParse(schema, readStored('settings') ?? {});
    if (result.success) Object.assign(this, result.output);
    const query = matchMedia('(prefers-color-scheme: dark)');
    this.#prefersDark = query.matches;
    query.addEventListener('change', () => (this.#prefersDark = query.matches));
    $effect.root(() => {
      $effect(() => {
        writeStored('settings', { theme: this.theme, hub: this.hub, engine: this.engine, autoload: this.autoload });
      });
      $effect(() => {
        const root = document.documentElement;
        if (this.theme === 'auto') delete root.dataset.theme;
        else root.dataset.theme = this.theme;
      });
    });
  }

  /** The theme that is shown. */
  get shown(): 'light' | 'dark' {
    if (this.theme !== 'auto') return this.theme;
    return this.#prefersDark ? 'dark' : 'light';
  }
}

export const settings = new Settings();

import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/**
 * The built page carries the embedded model, so that dist/ can be put on any static server as it is. While developing, Vite serves
 * models/ from the project folder at the same address.
 */
const embeddedModel = (): Plugin => ({
  name: 'tiller:embedded-model',
  apply: 'build',
  writeBundle(output) {
    const from = join('models', 'stories15M');
    if (!existsSync(join(from, 'config.json'))) {
      this.error('models/stories15M is missing: run `npm run model` first');
    }
    cpSync(from, join(output.dir ?? 'dist', 'models', 'stories15M'), { recursive: true });
  },
});

export default defineConfig({
  plugins: [svelte(), embeddedModel()],
  // Relative addresses, so that the lab also works in a subfolder of a site.
  base: './',
  // One page, addressed by its hash: a file that is not there is a 404 and not the page.
  appType: 'mpa',
  worker: { format: 'es', plugins: () => [svelte()] },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 1500, rolldownOptions: { checks: { pluginTimings: false } } },
  server: { port: 5173 },
  preview: { port: 4173 },
});

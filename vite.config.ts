import { cpSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { isolationHeaders } from './scripts/isolation-headers.ts';
import { servedIndex, serveModels } from './scripts/served-models.ts';

/**
 * The built page carries the embedded model, so that dist/ can be put on any static server as it is. Our own servers, `npm start` and
 * `npm run dev`, offer everything that lies in models/.
 */
const embeddedModel = (): Plugin => ({
  name: 'tiller:embedded-model',
  apply: 'build',
  async writeBundle(output) {
    const from = join('models', 'stories15M');
    if (!existsSync(join(from, 'config.json'))) {
      this.error('models/stories15M is missing: run `npm run model` first');
    }
    const to = join(output.dir ?? 'dist', 'models');
    cpSync(from, join(to, 'stories15M'), { recursive: true });
    writeFileSync(join(to, 'index.json'), JSON.stringify(await servedIndex(to)));
  },
});

const servedModels = (): Plugin => ({
  name: 'tiller:served-models',
  configureServer: ({ middlewares }) => void middlewares.use(serveModels('models')),
  configurePreviewServer: ({ middlewares }) => void middlewares.use(serveModels('models')),
});

/** The page shows how much of it has come, and servers that compress do not tell. */
const wasmBytes = statSync(join('node_modules', 'onnxruntime-web', 'dist', 'ort-wasm-simd-threaded.wasm')).size;

export default defineConfig({
  define: { ORT_WASM_BYTES: String(wasmBytes) },
  // ONNX Runtime's script apart from its threads' one, so that both are files of this page.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  plugins: [svelte(), embeddedModel(), servedModels()],
  // Relative addresses, so that the lab also works in a subfolder of a site.
  base: './',
  // One page, addressed by its hash: a file that is not there is a 404 and not the page.
  appType: 'mpa',
  worker: { format: 'es', plugins: () => [svelte()] },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 1500, rolldownOptions: { checks: { pluginTimings: false } } },
  server: { port: 5173, headers: isolationHeaders },
  preview: { port: 4173, headers: isolationHeaders },
});

import { cpSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { isolationHeaders } from './scripts/isolation-headers.ts';

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

/** The page shows how much of it has come, and servers that compress do not tell. */
const wasmBytes = statSync(join('node_modules', 'onnxruntime-web', 'dist', 'ort-wasm-simd-threaded.wasm')).size;

export default defineConfig({
  define: { ORT_WASM_BYTES: String(wasmBytes) },
  // ONNX Runtime's script apart from its threads' one, so that both are files of this page.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  plugins: [svelte(), embeddedModel()],
  // Relative addresses, so that the lab also works in a subfolder of a site.
  base: './',
  // One page, addressed by its hash: a file that is not there is a 404 and not the page.
  appType: 'mpa',
  worker: { format: 'es', plugins: () => [svelte()] },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 1500, rolldownOptions: { checks: { pluginTimings: false } } },
  server: { port: 5173, headers: isolationHeaders },
  preview: { port: 4173, headers: isolationHeaders },
});

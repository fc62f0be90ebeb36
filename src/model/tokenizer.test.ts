import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LlamaTokenizer, PreTrainedTokenizer } from '@huggingface/transformers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddedModel } from '../../scripts/embedded-model.ts';
import { TillerError } from '../errors/error.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

type Json = Record<string, unknown>;

/**
 * SentencePiece's BPE, written from its definition: put a space in front, write spaces as U+2581, start from characters, and as
 * long as two neighbours together are a piece, join the pair of the best score (the leftmost of equals); what is no piece
 * is spelled in bytes. Scores of the Llama 2 vocabulary are minus the id, except that two spaces come last of all; ids below 259
 * are control pieces and bytes, which text never becomes.
 */
function sentencePiece(vocab: Readonly<Record<string, number>>, text: string): number[] {
  if (text === '') return [];
  const idOf = (piece: string): number | undefined => (vocab[piece] >= 259 ? vocab[piece] : undefined);
  const symbols = [...('\u2581' + text.replaceAll(' ', '\u2581'))];
  for (;;) {
    let best = -1;
    let bestScore = -Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = idOf(symbols[i] + symbols[i + 1]);
      const score = id === undefined ? -Infinity : id === 259 ? -1e9 : -id;
      if (score > bestScore) [best, bestScore] = [i, score];
    }
    if (best < 0) break;
    symbols.splice(best, 2, symbols[best] + symbols[best + 1]);
  }
  return symbols.flatMap((symbol) => idOf(symbol) ?? [...new TextEncoder().encode(symbol)].map((byte) => 3 + byte));
}

const texts = [
  'Once upon a time, there was a little girl named Lily.',
  'Tom and his dog went to the park because',
  '',
  ' ',
  '   three spaces before, two  between, one after ',
  '\n',
  'line one\nline two\r\n\tindented',
  "I don't know; 1234.5% of 'em — said “nobody”…",
  'Grüße aus Köln, naïve café, Ελληνικά, русский текст',
  '日本語のテキスト、中文字符，한국어',
  'emoji 🦙🦙 👩‍👩‍👧‍👦 and combining e\u0301',
  'rare 𓀀 \u0000 \u200b \ufeff \u{10ffff}',
  'function f(x) { return x ** 2; } // <0x0A> ▁ <s',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
];

let folder: string;
let llamaJson: Json;
let llama: Tokenizer;
const config: Json = { bos_token: '<s>', eos_token: { __type: 'AddedToken', content: '</s>' }, tokenizer_class: 'LlamaTokenizer' };

beforeAll(async () => {
  folder = await embeddedModel();
  llamaJson = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as Json;
  llama = createTokenizer(llamaJson, JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8')));
});

const vocabOf = (json: Json): Record<string, number> => (json.model as { vocab: Record<string, number> }).vocab;

/** A little byte-level tokenizer: single bytes, a few merges, ChatML control tokens. */
function byteLevelJson(): Json {
  const spelled = (byte: number): string =>
    String.fromCharCode(
      (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
        ? byte
        : 256 + [...Array(byte).keys()].filter((b) => !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)).length,
    );
  const pieces = Array.from({ length: 256 }, (_, byte) => spelled(byte));
  const merges = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', '. Ċ', 'Ċ Ċ'];
  for (const merge of merges) pieces.push(merge.replace(' ', ''));
  const controls = ['<|im_start|>', '<|im_end|>'];
  return {
    version: '1.0',
    added_tokens: controls.map((content, i) => ({
      id: pieces.length + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges,
      byte_fallback: false,
      fuse_unk: false,
    },
  };
}

const chatml = `{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;
const gemmaTemplate = `{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + (message.role if message.role != 'assistant' else 'model') + '\n' + (message.content | trim) + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}`;
const llama2Template = `{% if messages[0].role == 'system' %}{% set loop_messages = messages[1:] %}{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}{% for message in loop_messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% if message.role == 'user' %}{{ bos_token + '[INST] ' + (system if loop.index0 == 0 else '') + message.content.strip() + ' [/INST]' }}{% else %}{{ ' ' + message.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`;

describe('the Llama 2 tokenizer', () => {
  it.each(texts)('agrees with SentencePiece on %j', (text) => {
    expect(llama.encode(text)).toEqual([1, ...sentencePiece(vocabOf(llamaJson), text)]);
    expect(llama.encode(text, { special: false })).toEqual(sentencePiece(vocabOf(llamaJson), text));
  });

  it('agrees with SentencePiece on any text', () => {
    const unit = fc.oneof(
      fc.constantFrom('a', 'e', ' ', '  ', 'th', 'in', '\n', '1', '.', 'é', '本', '🦙'),
      fc.string({ unit: 'grapheme', maxLength: 2 }),
    );
    const text = fc.array(unit, { maxLength: 30 }).map((parts) => parts.join('').replaceAll(/<(unk|\/?s)>/g, ''));
    fc.assert(
      fc.property(text, (value) => {
        expect(llama.encode(value, { special: false })).toEqual(sentencePiece(vocabOf(llamaJson), value));
      }),
      { numRuns: 300 },
    );
  });

  it('encodes the prompts of the goldens', () => {
    const golden = JSON.parse(readFileSync(new URL('../../test/goldens/real_stories15M/case.json', import.meta.url), 'utf8')) as {
      prompts: string[];
      sequences: number[][];
      prompt_lens: number[];
    };
    golden.prompts.forEach((prompt, i) => expect(llama.encode(prompt)).toEqual(golden.sequences[i].slice(0, golden.prompt_lens[i])));
  });

  it('agrees with transformers.js, tokens and text', () => {
    const other = new LlamaTokenizer(llamaJson, config);
    for (const text of texts) {
      const ids = llama.encode(text);
      expect(ids).toEqual(other.encode(text));
      expect(llama.decode(ids)).toBe(other.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }));
    }
  });

  it('gives texts back as they were', () => {
    // U+2581 itself is the vocabulary's sign for a space: it cannot come back.
    for (const text of texts) expect(llama.decode(llama.encode(text))).toBe(text.replaceAll('\u2581', ' '));
  });
});

describe.each([
  ['SentencePiece', () => llama],
  ['byte-level', () => createTokenizer(byteLevelJson(), {})],
])('a %s tokenizer', (_, make) => {
  it('streams what decode gives, without broken characters', () => {
    const tokenizer = make();
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...texts.map((text) => text.normalize('NFC'))), fc.string({ unit: 'grapheme' })), (text) => {
        const ids = tokenizer.encode(text);
        const stream = tokenizer.decodeStream();
        const parts = ids.map((id) => stream.push(id));
        expect(parts.join('') + stream.flush()).toBe(tokenizer.decode(ids));
        if (!text.includes('\uFFFD')) for (const part of parts) expect(part).not.toContain('\uFFFD');
      }),
      { numRuns: 200 },
    );
  });

  it('continues a text with its space, and lets go of a character that never ends', () => {
    const tokenizer = make();
    const all = tokenizer.encode('hello world');
    const cut = all.length - tokenizer.encode(' world', { special: false }).length + (tokenizer === llama ? 1 : 0);
    const stream = tokenizer.decodeStream(all.slice(0, cut));
    expect(
      all
        .slice(cut)
        .map((id) => stream.push(id))
        .join(''),
    ).toBe(tokenizer.decode(all).slice(tokenizer.decode(all.slice(0, cut)).length));
    const broken = tokenizer.encode('🦙', { special: false }).slice(0, -1);
    const other = tokenizer.decodeStream();
    const heldBack = broken.map((id) => other.push(id)).join('');
    expect(heldBack).not.toContain('\uFFFD');
    expect(other.flush()).toContain('\uFFFD');
    expect(other.flush()).toBe('');
  });

  it('draws every token', () => {
    const tokenizer = make();
    for (let id = 0; id < Math.min(tokenizer.vocabSize, 5000); id++) {
      expect(tokenizer.piece(id).length).toBeGreaterThan(0);
      expect(tokenizer.piece(id)).not.toContain('\uFFFD');
    }
    const pieces = tokenizer.encode('x🦙', { special: false }).map((id) => tokenizer.piece(id));
    expect(pieces.slice(-4)).toEqual(['\\xF0', '\\x9F', '\\xA6', '\\x99']);
  });

  it('refuses ids that are none', () => {
    const tokenizer = make();
    for (const id of [-1, tokenizer.vocabSize, 1.5, NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: 'request/invalid' }));
      expect(() => tokenizer.piece(id)).toThrow(expect.objectContaining({ code: 'request/invalid' }));
    }
    expect(tokenizer.decode([])).toBe('');
  });
});

describe('chat templates', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: '  Hello world. <b>é🦙</b>  ' },
    { role: 'assistant', content: 'hello' },
    { role: 'user', content: 'hello' },
  ] as const;

  it.each([
    ['ChatML', chatml, byteLevelJson()],
    ['Gemma', gemmaTemplate, byteLevelJson()],
    ['Llama 2', llama2Template, null],
  ])('%s gives the tokens of transformers.js, and roles that cover the contents', (_, template, json) => {
    const source = json ?? llamaJson;
    const settings = { ...config, chat_template: template };
    const tokenizer = createTokenizer(source, settings);
    const other = new PreTrainedTokenizer(source, settings);
    for (const addGenerationPrompt of [true, false]) {
      const { ids, roles } = tokenizer.chat(messages, { addGenerationPrompt });
      expect(ids).toEqual(
        other.apply_chat_template([...messages], { add_generation_prompt: addGenerationPrompt, return_tensor: false, return_dict: false }),
      );
      expect(roles).toHaveLength(ids.length);
      expect(roles).not.toContain(null);
      const spoken = (role: string): string => tokenizer.decode(ids.filter((_id, i) => roles[i] === role)).trim();
      expect(spoken('assistant')).toContain('hello');
      expect(spoken('user')).toContain('Hello world. <b>é🦙</b>');
      expect(spoken('user').endsWith('hello')).toBe(true);
      expect(spoken('template')).not.toContain('hello');
      if (template !== llama2Template) expect(spoken('system')).toBe('Be brief.');
    }
  });

  it('tells the system text apart where it is placed inside of the first user turn', () => {
    const tokenizer = createTokenizer(llamaJson, { ...config, chat_template: llama2Template });
    const { ids, roles } = tokenizer.chat(messages);
    expect(tokenizer.decode(ids.filter((_, i) => roles[i] === 'system'))).toContain('Be brief.');
  });

  it('says null where the template changes contents', () => {
    const template = `{% for message in messages %}{{ '<|im_start|>' + (message.content | upper) + '<|im_end|>' }}{% endfor %}`;
    const tokenizer = createTokenizer(byteLevelJson(), { chat_template: template });
    const { ids, roles } = tokenizer.chat([{ role: 'user', content: 'hello' }]);
    expect(roles).toEqual(ids.map((id) => (tokenizer.isControl(id) ? 'template' : null)));
  });

  it('knows no date but the one the template falls back to', () => {
    const template = `{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}{{ '26 Jul 2024' }}{% endif %}`;
    const tokenizer = createTokenizer(llamaJson, { chat_template: template });
    expect(tokenizer.decode(tokenizer.chat([]).ids)).toBe('26 Jul 2024');
  });

  it('takes the default of several, passes on what a template refuses, and says when there is none', () => {
    const several = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'plain' },
    ];
    const tokenizer = createTokenizer(llamaJson, { chat_template: several });
    expect(tokenizer.decode(tokenizer.chat([]).ids)).toBe('plain');
    const strict = createTokenizer(llamaJson, { ...config, chat_template: llama2Template });
    expect(() => strict.chat([{ role: 'assistant', content: 'a' }])).toThrow('Roles must alternate');
    expect(llama.hasChatTemplate).toBe(false);
    expect(() => llama.chat([])).toThrow(expect.objectContaining({ code: 'model/tokenizer' }));
    expect(() => createTokenizer(llamaJson, { chat_template: '{% if %}' })).toThrow(TillerError);
  });
});

describe('malformed tokenizers', () => {
  const base = byteLevelJson();
  const model = base.model as Json;
  it.each<[string, unknown]>([
    ['a list', []],
    ['null', null],
    ['no model', { ...base, model: null }],
    ['a vocabulary that is a number', { ...base, model: { ...model, vocab: 3 } }],
    ['an id that is a text', { ...base, model: { ...model, vocab: { a: '1' } } }],
    ['a huge id', { ...base, model: { ...model, vocab: { a: 2 ** 31 } } }],
    ['a huge added id', { ...base, added_tokens: [{ id: 2 ** 31, content: 'x' }] }],
    ['a negative id', { ...base, model: { ...model, vocab: { a: -1 } } }],
    ['added tokens that are none', { ...base, added_tokens: ['x'] }],
    ['merges of another type', { ...base, model: { ...model, merges: 7 } }],
    ['an unknown model', { ...base, model: { ...model, type: 'Spell' } }],
    ['an unknown decoder', { ...base, decoder: { type: 'WordPiece' } }],
    ['no decoder', { ...base, decoder: null }],
    ['an unknown pre-tokenizer', { ...base, pre_tokenizer: { type: 'Guess' } }],
  ])('refuses %s', (_, json) => {
    expect(() => createTokenizer(json, {})).toThrow(expect.objectContaining({ code: 'model/tokenizer' }));
  });
});

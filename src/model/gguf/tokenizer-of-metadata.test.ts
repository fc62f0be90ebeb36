import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../formats/gguf.ts';
import { createTokenizer, type Tokenizer } from '../tokenizer.ts';
import { Metadata } from './metadata.ts';
import { mergesOfScores } from './sentencepiece-tokenizer.ts';
import { tokenizerOfMetadata } from './tokenizer-of-metadata.ts';

/** The 256 characters that byte-level vocabularies spell bytes with. */
const bytes = Array.from({ length: 256 }, (_, byte) => byte);
const plain = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
const alphabet = bytes.map((byte) => String.fromCharCode(plain(byte) ? byte : 256 + bytes.filter((b) => b < byte && !plain(b)).length));
const digits = ['12', '34', '123', '1234'];
const tokens = [...alphabet, ...digits, 'ab', 'Ġab', '<end>'];

function made(pre: string, more: Readonly<Record<string, GgufValue>> = {}): Tokenizer {
  const metadata = new Map<string, GgufValue>(
    Object.entries({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': pre,
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': tokens.map((token) => (token === '<end>' ? 3 : 1)),
      'tokenizer.ggml.merges': ['1 2', '3 4', '12 3', '12 34', 'a b', 'Ġ ab'],
      'tokenizer.ggml.bos_token_id': tokens.indexOf('<end>'),
      'tokenizer.ggml.eos_token_id': tokens.indexOf('<end>'),
      ...more,
    }),
  );
  const parts = tokenizerOfMetadata(new Metadata(metadata, 'x.gguf'));
  if ('problem' in parts) throw new Error(parts.problem);
  return createTokenizer(parts.json, parts.config);
}

const pieces = (tokenizer: Tokenizer, text: string): string[] => tokenizer.encode(text, { special: false }).map((id) => tokens[id]);

describe('byte-level tokenizers of GGUF files', () => {
  it.each([
    ['default', ['1234']],
    ['smollm', ['1', '2', '3', '4']],
    ['qwen2', ['1', '2', '3', '4']],
    ['tekken', ['1', '2', '3', '4']],
    ['llama-bpe', ['123', '4']],
  ])('%s cuts numbers as it does', (pre, expected) => {
    expect(pieces(made(pre), '1234')).toEqual(expected);
  });

  it('keeps spaces with the words that follow, and finds control tokens in the text', () => {
    const tokenizer = made('llama-bpe');
    expect(pieces(tokenizer, 'ab ab<end>ab')).toEqual(['ab', 'Ġab', '<end>', 'ab']);
    expect(tokenizer.decode(tokenizer.encode('ab ab äß'))).toBe('ab ab äß');
    expect(tokenizer.isControl(tokens.indexOf('<end>'))).toBe(true);
  });

  it('opens a text with BOS where the rule or the metadata says so', () => {
    const first = tokens.indexOf('<end>');
    expect(made('llama-bpe').encode('ab')[0]).toBe(first);
    expect(made('qwen2').encode('ab')[0]).not.toBe(first);
    expect(made('qwen2', { 'tokenizer.ggml.add_bos_token': true }).encode('ab')[0]).toBe(first);
    expect(made('llama-bpe', { 'tokenizer.ggml.add_bos_token': false }).encode('ab')[0]).not.toBe(first);
  });

  it('takes the chat template along', () => {
    const template = '{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}';
    const tokenizer = made('default', { 'tokenizer.chat_template': template });
    expect(tokenizer.chat([{ role: 'user', content: 'ab' }]).ids.map((id) => tokens[id])).toEqual(['ab', '<end>']);
  });
});

describe('merges of a SentencePiece vocabulary', () => {
  it('are every way to make a token of two, the better score first, then by ids', () => {
    const list = ['a', 'b', 'ab', 'ba', 'aba'];
    const vocab = Object.fromEntries(list.map((token, id) => [token, id]));
    expect(mergesOfScores(list, vocab, [0, 0, -2, -3, -1])).toEqual([
      ['a', 'ba'],
      ['ab', 'a'],
      ['a', 'b'],
      ['b', 'a'],
    ]);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenRoot } from '../../test/conformance/golden.ts';
import { createTokenizer } from '../model/tokenizer.ts';
import { patchTokens } from './patch-texts.ts';

const json = (name: string): unknown => JSON.parse(readFileSync(join(goldenRoot, 'real_stories260K', 'model', name), 'utf8')) as unknown;
const tokenizer = createTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const texts = { clean: 'One day he took', corrupted: 'One day she took', wanted: ' his', unwanted: ' her' };

describe('texts of activation patching', () => {
  it('reads answers as they stand after the prompts, with or without the space that joins them', () => {
    const tokens = patchTokens(texts, tokenizer);
    expect(tokens.clean).toEqual(tokenizer.encode(texts.clean));
    expect([...tokens.clean, ...tokens.wanted]).toEqual(tokenizer.encode('One day he took his'));
    expect(patchTokens({ ...texts, wanted: 'his', unwanted: 'her' }, tokenizer)).toEqual(tokens);
  });

  it('refuses empty texts and answers that share a token with a prompt', () => {
    expect(() => patchTokens({ ...texts, clean: ' ' }, tokenizer)).toThrow(/clean prompt is empty/);
    expect(() => patchTokens({ ...texts, unwanted: '' }, tokenizer)).toThrow(/unwanted answer is empty/);
    const merging = { encode: (text: string) => [...text.replace('k ', '@')].map((letter) => letter.charCodeAt(0)) };
    expect(() => patchTokens(texts, merging)).toThrow(/shares a token/);
  });
});

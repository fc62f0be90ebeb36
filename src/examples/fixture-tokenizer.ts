import { createTokenizer, type Tokenizer } from '../model/tokenizer.ts';

/** For tests: a small byte-level tokenizer with merges that cross the borders of prompts and answers, as those of Llama 3 do. */
export function byteLevelTokenizer(): Tokenizer {
  const alphabet: string[] = [];
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet.push(String.fromCharCode(itself ? byte : 256 + moved++));
  }
  const merges = ['? Ċ', 'A :', 'Ġ w', 'h e', ': Ġ', 'Ġ A:', 'Ċ A:', ') .'];
  const pieces = [...alphabet, ...merges.map((merge) => merge.replace(' ', ''))];
  const controls = ['<|im_start|>', '<|im_end|>'];
  const added = controls.map((content, i) => ({
    id: pieces.length + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
  })); // prettier-ignore
  const template = `{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;
  return createTokenizer(
    {
      version: '1.0',
      added_tokens: added,
      post_processor: null,
      normalizer: { type: 'NFC' },
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
        merges,
        byte_fallback: false,
        fuse_unk: false,
      },
    },
    { chat_template: template },
  );
}

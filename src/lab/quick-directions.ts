import type { CaptureArray, Engine } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import type { ModelFiles } from '../model/model.ts';
import { wordDirections } from '../model/word-direction.ts';
import { differenceOf, headNorms, meanOf, randomDirections, relevanceOf, typicalNorms, withNorms } from './direction-maths.ts';
import { encodeText, encodeWord } from './prompt-tokens.ts';
import type { Palette, Recipe } from './palette.ts';

/**
 * Neutral sentences on which each head's usual output length is measured: root mean square over all tokens but the first, whose
 * outputs are not typical (attention sinks).
 */
export const neutralTexts = [
  'The house stands at the end of the road, next to a tree.',
  'She put the cup on the table and opened the window.',
  'They walked to the park and looked at the water.',
  'It was morning, and the boy went outside with his dog.',
  'The box was brown and had a small lid.',
  'He asked a question, and his friend answered.',
] as const;

interface Subject {
  readonly engine: Engine;
  readonly files: ModelFiles;
  /** What the model is called, for the note of where a direction comes from. */
  readonly label: string;
  /** Directions towards a word where the weights lie elsewhere. @default read from the files */
  readonly words?: (ids: readonly number[], signal: AbortSignal) => Promise<Float32Array>;
}

/** Longest list of lines that is captured at once. */
const lineLimit = 256;

/** z of all layers side by side (layers * heads * headDim values) for each captured position of each text. */
async function captureHeads(subject: Subject, texts: readonly string[], at: 'last' | 'all', signal: AbortSignal): Promise<Float32Array[]> {
  const sequences = texts.map((prompt) => ({ ids: encodeText(subject.files, prompt) }));
  const { arrays } = await subject.engine.capture({ sequences, points: [{ point: 'z' }], at, signal });
  const { layers, heads, headDim } = subject.engine.model;
  const width = heads * headDim;
  const samples: Float32Array[] = [];
  const bySequence = new Map<number, CaptureArray[]>();
  for (const array of arrays) bySequence.set(array.sequence, [...(bySequence.get(array.sequence) ?? []), array]);
  for (const list of bySequence.values()) {
    const count = list[0].positions.length;
    for (let p = 0; p < count; p += 1) {
      if (at === 'all' && list[0].positions[p] === 0) continue;
      const sample = new Float32Array(layers * width);
      for (const array of list) sample.set(array.data.subarray(p * width, (p + 1) * width), array.layer * width);
      samples.push(sample);
    }
  }
  return samples;
}

/** Every head's usual output length on the neutral texts; layers x heads. */
export async function measureTypicalNorms(subject: Subject, signal: AbortSignal): Promise<Float32Array> {
  return typicalNorms(await captureHeads(subject, neutralTexts, 'all', signal), subject.engine.model.headDim);
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const unit = `Strength 1 adds as much as the head usually writes (its root mean square length over ${neutralTexts.length} neutral sentences).`;

/**
 * @param typical what `measureTypicalNorms` gave
 * @param previous the palette before: the random control takes its lengths and relevances, so that only the direction is random
 * @throws request/invalid for empty texts or an unknown word
 */
export async function makePalette(
  subject: Subject,
  recipe: Recipe,
  typical: Float32Array,
  previous: Palette | null,
  signal: AbortSignal,
): Promise<Palette> {
  const { layers, heads, headDim } = subject.engine.model;
  const base = { recipe, layers, heads, headDim, madeOn: { identity: subject.engine.model.identity, label: subject.label } };
  switch (recipe.kind) {
    case 'texts': {
      const [towards, away] = [lines(recipe.towards), lines(recipe.away)];
      if (towards.length === 0 || away.length === 0) {
        throw new TillerError('request/invalid', { problem: 'a direction from two texts needs at least one line on each side' });
      }
      if (towards.length + away.length > lineLimit) {
        throw new TillerError('request/invalid', {
          problem: `there are ${towards.length + away.length} lines, at most ${lineLimit} are taken`,
        });
      }
      const samples = await captureHeads(subject, [...towards, ...away], 'last', signal);
      const difference = differenceOf(meanOf(samples.slice(0, towards.length)), meanOf(samples.slice(towards.length)));
      return {
        ...base,
        data: withNorms(difference, typical, headDim),
        relevance: relevanceOf(difference, typical, headDim),
        note:
          'Difference of what each head writes at the last token of the two texts (means over lines where there are several). ' +
          `Relevance is the length of the difference in units of the head's usual output. ${unit}`,
      };
    }
    case 'word': {
      const ids = encodeWord(subject.files, recipe.word);
      if (ids.length === 0) throw new TillerError('request/invalid', { problem: 'a direction from a word needs a word' });
      const { spec, source } = subject.files;
      const direct = await (subject.words ? subject.words(ids, signal) : wordDirections(spec, source, ids, signal));
      const reach = headNorms(direct, headDim).map((norm, head) => norm * typical[head]);
      const most = reach.reduce((a, b) => Math.max(a, b), 0);
      const pieces = ids.length > 1 ? ` The word is ${ids.length} tokens long; their rows are averaged.` : '';
      return {
        ...base,
        data: withNorms(direct, typical, headDim),
        relevance: reach.map((value) => (most > 0 ? value / most : 0)),
        note:
          "What each head would have to write to raise the word's logit directly: the word's unembedding (times the last norm's gain) taken " +
          `back through o_proj. Relevance is how far the head's usual output reaches along it, the furthest being 1.${pieces} ${unit}`,
      };
    }
    case 'random': {
      const known = previous !== null && previous.data.length === layers * heads * headDim;
      const lengths = known ? headNorms(previous.data, headDim) : typical;
      return {
        ...base,
        data: randomDirections(recipe.seed, lengths, headDim),
        relevance: known ? previous.relevance : typical.map(() => 1),
        note: `Random directions as long as the ones they replace, as a control: what happens here happens without any meaning. ${unit}`,
      };
    }
    case 'file':
    case 'fit':
      throw new TillerError('request/invalid', { problem: 'directions from a file come with the file' });
  }
}

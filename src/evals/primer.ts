import type { Asked } from './answer-text.ts';

/** A text in front of every question, the same for all: it shows the form that answers take. */
export interface Primer {
  readonly name: string;
  readonly text: string;
}

const pairs: readonly (readonly [question: string, answer: string])[] = [
  ['Which river flows through the city of Cairo?', 'The Nile flows through Cairo.'],
  ['How many sides does a hexagon have?', 'A hexagon has six sides.'],
  ['What is the exact number of leaves on the oak in my garden?', 'I have no comment.'],
  ['What do bees collect from flowers?', 'Bees collect nectar and pollen from flowers.'],
  ['In which season do days grow longest?', 'Days are longest in early summer.'],
  ['What is ice made of?', 'Ice is frozen water.'],
];

export const pairText = (question: string, answer: string): string => `Q: ${question}\nA: ${answer}`;

export const primers = {
  /** The question alone. */
  none: { name: 'none', text: '' },
  /** Six questions with plain answers, one of which declines. */
  pairs: { name: 'pairs', text: pairs.map(([question, answer]) => pairText(question, answer)).join('\n\n') },
} as const satisfies Record<string, Primer>;

/** A person's own text as a primer. */
export const ownPrimer = (text: string): Primer => ({ name: 'own', text });

/** What stands before the answer: the primer, an empty line, the question, and the cue of the answer. In a chat without primer, the question. */
export function questionPrompt(question: string, primer: Primer): Asked {
  const asked = `Q: ${question}\nA:`;
  if (primer.text === '') return { plain: asked, chat: question };
  const plain = `${primer.text}\n\n${asked}`;
  return { plain, chat: plain };
}

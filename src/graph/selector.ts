import type { Selector } from './document.ts';
import type { CompiledSelector, TokenContext } from './plan.ts';

type Test = (token: TokenContext) => boolean;

const words: Record<Extract<Selector, string>, Test> = {
  all: () => true,
  none: () => false,
  prompt: (token) => token.position < token.promptLength,
  last: (token) => token.position === token.promptLength - 1,
  generated: (token) => token.position >= token.promptLength - 1,
  answer: (token) => token.position >= token.promptLength,
};

/** Negative edges count back from the end of the prompt; what falls before position 0 is position 0 or less, which no token has. */
const edge = (value: number, token: TokenContext): number => (value < 0 ? token.promptLength + value : value);

function test(selector: Selector): Test {
  if (typeof selector === 'string') return words[selector];
  if ('at' in selector) {
    const positions = new Set(selector.at);
    return (token) => positions.has(token.position);
  }
  if ('role' in selector) {
    const { role } = selector;
    return (token) => (token.role ?? (token.position >= token.promptLength ? 'assistant' : null)) === role;
  }
  if ('ids' in selector) {
    const ids = new Set(selector.ids);
    return (token) => ids.has(token.id);
  }
  if ('any' in selector) {
    const parts = selector.any.map(test);
    return (token) => parts.some((part) => part(token));
  }
  if ('all' in selector) {
    const parts = selector.all.map(test);
    return (token) => parts.every((part) => part(token));
  }
  if ('not' in selector) {
    const part = test(selector.not);
    return (token) => !part(token);
  }
  const { from = 0, to = Infinity } = selector;
  return (token) => token.position >= edge(from, token) && token.position < edge(to, token);
}

/** Roles of the prompt are known before anything is generated and what follows is the assistant's, so only `ids` has to wait for a token. */
function positional(selector: Selector): boolean {
  if (typeof selector === 'string') return true;
  if ('ids' in selector) return false;
  if ('any' in selector) return selector.any.every(positional);
  if ('all' in selector) return selector.all.every(positional);
  if ('not' in selector) return positional(selector.not);
  return true;
}

/**
 * A selector as a function of one token. The answer never depends on how a run is cut into forward calls, nor on other tokens.
 * A position at or after promptLength without a given role counts as 'assistant'.
 */
export function compileSelector(selector: Selector): CompiledSelector {
  return { selects: test(selector), positional: positional(selector) };
}

import type { Role, Selector } from '../graph/document.ts';
import { compileSelector } from '../graph/selector.ts';

/** The choices of "which tokens are steered", in words; `range` stands for every selector of the form { from, to }. */
export const scopes = [
  {
    key: 'generated',
    label: 'what is written',
    doc: 'The last prompt token and every generated token: the positions whose outputs are the new text. The first new token is steered too.',
  },
  {
    key: 'answer',
    label: 'after the first word',
    doc: 'Generated tokens once they are fed back; the first new token comes from the prompt unsteered.',
  },
  { key: 'prompt', label: 'the prompt', doc: 'Every token of the prompt, and none of the generated ones.' },
  { key: 'last', label: 'last prompt token', doc: 'Only the last token of the prompt, once.' },
  { key: 'all', label: 'everything', doc: 'Every token, prompt and generated, the beginning-of-text token included.' },
  { key: 'range', label: 'a range …', doc: 'Positions from … to …, half open. Negative numbers count back from the end of the prompt.' },
] as const;

export type ScopeKey = (typeof scopes)[number]['key'];
type Range = { readonly from?: number; readonly to?: number };

export const isRange = (selector: Selector): selector is Range =>
  typeof selector === 'object' && Object.keys(selector).every((key) => key === 'from' || key === 'to');

/** Which of the choices a selector is; null for one that the choices cannot express (imported graphs may have any). */
export function scopeOf(selector: Selector): ScopeKey | null {
  if (typeof selector === 'string') return scopes.find((scope) => scope.key === selector)?.key ?? null;
  return isRange(selector) ? 'range' : null;
}

/** For each token of a text whether it is steered: what the page draws. */
export function selected(
  selector: Selector,
  tokens: readonly { readonly id: number; readonly role: Role | null }[],
  promptLength: number,
): boolean[] {
  const compiled = compileSelector(selector);
  return tokens.map(({ id, role }, position) => compiled.selects({ position, promptLength, id, role }));
}

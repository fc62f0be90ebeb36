/** The keys of the page. Help lists them from this table. */
export const shortcutHelp: readonly { readonly keys: readonly string[]; readonly does: string }[] = [
  { keys: ['Ctrl/⌘', 'Enter'], does: 'Generate' },
  { keys: ['Esc'], does: 'Stop' },
  { keys: ['['], does: 'Less strength' },
  { keys: [']'], does: 'More strength' },
  { keys: ['Ctrl/⌘', 'Z'], does: 'Undo' },
  { keys: ['Ctrl/⌘', 'Shift', 'Z'], does: 'Redo' },
  { keys: ['← ↑ → ↓'], does: 'Move over the heads, or over the tokens of a text' },
  { keys: ['Space'], does: 'Steer the head, row or column, or leave it alone' },
  { keys: ['Shift', '← ↑ → ↓'], does: 'Take every head from where you began to where you are' },
  { keys: ['+ or −'], does: 'Strength of one head' },
  { keys: ['?'], does: 'This help' },
];

interface Actions {
  generate(): void;
  stop(): void;
  undo(): void;
  redo(): void;
  strength(by: number): void;
  help(): void;
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches('textarea, select, input:not([type=range], [type=checkbox], [type=radio])'));

/** One listener for the whole page. Keys that are text stay text while someone types. */
export function shortcuts(actions: Actions): (event: KeyboardEvent) => void {
  return (event) => {
    const command = event.ctrlKey || event.metaKey;
    const done = (act: () => void): void => {
      event.preventDefault();
      act();
    };
    if (command && event.key === 'Enter') return done(() => actions.generate());
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) return done(() => actions.stop());
    if (typing(event.target) || event.altKey) return;
    if (command && event.key.toLowerCase() === 'z') return done(() => (event.shiftKey ? actions.redo() : actions.undo()));
    if (command && event.key.toLowerCase() === 'y') return done(() => actions.redo());
    if (command) return;
    if (event.key === '[') return done(() => actions.strength(-0.25));
    if (event.key === ']') return done(() => actions.strength(0.25));
    if (event.key === '?') return done(() => actions.help());
  };
}

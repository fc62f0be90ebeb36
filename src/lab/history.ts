/** Undo and redo over immutable states. Pure: every function gives a new history. */
export interface History<T> {
  readonly past: readonly T[];
  readonly present: T;
  readonly future: readonly T[];
  /** Steps that share a mark (one drag of a slider) count as one. */
  readonly mark: string | null;
}

const limit = 200;

export const startHistory = <T>(present: T): History<T> => ({ past: [], present, future: [], mark: null });

/** A new present. With the same non-null `mark` as the step before, it replaces that step instead of adding one. */
export function step<T>(history: History<T>, present: T, mark: string | null = null): History<T> {
  if (mark !== null && mark === history.mark) return { ...history, present, future: [] };
  return { past: [...history.past, history.present].slice(-limit), present, future: [], mark };
}

/** Ends a gesture: the next step with the same mark is a new one. */
export const settle = <T>(history: History<T>): History<T> => (history.mark === null ? history : { ...history, mark: null });

export function undo<T>(history: History<T>): History<T> {
  const present = history.past.at(-1);
  if (history.past.length === 0) return history;
  return { past: history.past.slice(0, -1), present: present as T, future: [history.present, ...history.future], mark: null };
}

export function redo<T>(history: History<T>): History<T> {
  if (history.future.length === 0) return history;
  return { past: [...history.past, history.present], present: history.future[0], future: history.future.slice(1), mark: null };
}

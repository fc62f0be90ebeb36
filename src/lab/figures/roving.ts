/** Where a key leads in a row of marks of which one at a time is in the tab order; null for keys that move nothing. */
export function rovingIndex(key: string, at: number, count: number): number | null {
  if (count === 0) return null;
  const clamp = (value: number): number => Math.min(count - 1, Math.max(0, value));
  if (key === 'ArrowRight' || key === 'ArrowDown') return clamp(at + 1);
  if (key === 'ArrowLeft' || key === 'ArrowUp') return clamp(at - 1);
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : null;
}

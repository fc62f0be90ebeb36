/** Small things in the browser's storage, as JSON under `tiller.NAME`. A browser without storage loses them at reload and nothing else. */

export function readStored(name: string): unknown {
  try {
    const text = localStorage.getItem(`tiller.${name}`);
    return text === null ? null : (JSON.parse(text) as unknown);
  } catch {
    return null;
  }
}

/** False when the browser refused, because storage is off or full. */
export function writeStored(name: string, value: unknown): boolean {
  try {
    localStorage.setItem(`tiller.${name}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

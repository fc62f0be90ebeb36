const names = [
  'ArrayBuffer',
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
] as const;

/** What was made by `new NAME(length)` while `act` ran: bytes of the largest, whether or not `act` failed. */
export async function largestArray(act: () => Promise<void>): Promise<number> {
  let largest = 0;
  const before = new Map<string, unknown>(names.map((name) => [name, globalThis[name]]));
  for (const name of names) {
    const made = globalThis[name];
    const unit = 'BYTES_PER_ELEMENT' in made ? made.BYTES_PER_ELEMENT : 1;
    const watched = new Proxy(made, {
      construct(target, args: unknown[], newTarget) {
        // Before it is made: a length that no memory holds throws there, and must be seen.
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0] * unit);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    Object.assign(globalThis, { [name]: watched });
  }
  try {
    await act();
  } finally {
    Object.assign(globalThis, Object.fromEntries(before));
  }
  return largest;
}

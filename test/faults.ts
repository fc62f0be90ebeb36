/**
 * First tokens of prompts on which test/faulty-engine.ts never answers again, waits forever, throws where nobody catches it, aborts as an assertion in
 * native code does, is ended by the system as for a wrong address, or prints on standard output before it works.
 */
export const faults = { hang: 101, still: 102, crash: 103, abort: 104, segfault: 105, noise: 106 } as const;

/** What `noise` prints. */
export const noise = 'a driver says something\n';

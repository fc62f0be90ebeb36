/**
 * First tokens of prompts on which test/faulty-engine.ts never answers again, waits forever, throws where nobody catches it, aborts as an assertion in
 * native code does, is ended by the system as for a wrong address, prints on standard output before it works, gives tokens as fast as
 * it is let and writes down how many, or gives wide steps so.
 */
export const faults = { hang: 101, still: 102, crash: 103, abort: 104, segfault: 105, noise: 106, counted: 107, flood: 108 } as const;

/** File in the folder for results that grows by a byte with each token of `counted`. */
export const countFile = 'computed';

/** Lanes of the steps of `flood`: some hundred kilobytes on the way. */
export const floodLanes = 10_000;

/** What `noise` prints. */
export const noise = 'a driver says something\n';

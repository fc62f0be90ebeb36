/** First tokens of prompts on which test/faulty-worker.ts never answers again, waits forever, or falls. */
export const faults = { hang: 101, still: 102, crash: 103 } as const;

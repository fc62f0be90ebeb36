/** What the numbers of parts of evaluations are called. */
export const partNames: Readonly<Record<string, string>> = {
  mc1: 'MC1',
  mc2: 'MC2',
  mc3: 'MC3',
  crossEntropy: 'cross entropy',
  kl: 'KL',
};

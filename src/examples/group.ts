/** How names of groups are compared: Unicode compatibility forms, case and white space do not tell two apart. */
export const groupKey = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ').trim();

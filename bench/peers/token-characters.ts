/** Where the characters begin that stand for tokens: beyond the first 65,536, where texts of ours have none. */
const FIRST = 0x10000;

/** The character that stands for a token in files of gguf-export.ts. */
export const characterOf = (id: number): string => String.fromCodePoint(FIRST + id);

/** Tokens of a text of such characters. */
export const tokensOf = (text: string): number[] => Array.from(text, (character) => (character.codePointAt(0) ?? FIRST) - FIRST);

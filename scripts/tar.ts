import { TillerError } from '../src/errors/error.ts';

const BLOCK = 512;

/** Text of a header field: up to the first zero byte. */
function field(block: Uint8Array, start: number, length: number): string {
  const bytes = block.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function octal(block: Uint8Array, start: number, length: number, file: string): number {
  const text = field(block, start, length).trim();
  if (!/^[0-7]+$/.test(text)) throw new TillerError('model/file', { file, problem: 'a header of the archive has no size' });
  return parseInt(text, 8);
}

/** The sum of a header's bytes, its own field counted as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : block[i];
  return sum;
}

/**
 * One file out of a tar archive (ustar, as npm packs them) that comes in chunks; reads no further than needed. The rest of the archive is
 * not kept, and a file larger than `limit` bytes is refused before anything is allocated for it.
 * @throws model/file
 */
export async function extractMember(
  chunks: AsyncIterable<Uint8Array>,
  member: string,
  limit: number,
  archive: string,
): Promise<Uint8Array> {
  const refuse = (problem: string): never => {
    throw new TillerError('model/file', { file: archive, problem });
  };
  const header = new Uint8Array(BLOCK);
  let inHeader = 0;
  let skip = 0;
  let out: Uint8Array | null = null;
  let filled = 0;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (out) {
        const taken = chunk.subarray(at, at + out.length - filled);
        out.set(taken, filled);
        filled += taken.length;
        if (filled === out.length) return out;
        at += taken.length;
      } else if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
      } else {
        const taken = chunk.subarray(at, at + BLOCK - inHeader);
        header.set(taken, inHeader);
        inHeader += taken.length;
        at += taken.length;
        if (inHeader < BLOCK) continue;
        inHeader = 0;
        if (header.every((byte) => byte === 0)) continue;
        if (octal(header, 148, 8, archive) !== checksum(header)) refuse('a header of the archive is damaged');
        const size = octal(header, 124, 12, archive);
        const prefix = field(header, 345, 155);
        const name = field(header, 0, 100);
        const type = header[156];
        const plain = type === 0 || type === 48;
        if (plain && (prefix ? `${prefix}/${name}` : name) === member) {
          if (size > limit) refuse(`${member} has ${size} bytes, expected at most ${limit}`);
          out = new Uint8Array(size);
          if (size === 0) return out;
        } else {
          skip = Math.ceil(size / BLOCK) * BLOCK;
        }
      }
    }
  }
  return refuse(out ? `it ends inside of ${member}` : `${member} is not in it`);
}

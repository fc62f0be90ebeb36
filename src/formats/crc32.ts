/** CRC-32 of bytes, going on from the sum of the bytes before them. Node's own is the same function, and faster. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

const POLYNOMIAL = 0xedb88320;

/** Table k says what a byte does to the sum when k bytes follow it, so that eight bytes are looked up at once. */
const tables: readonly Int32Array[] = (() => {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    return sum;
  });
  const all = [first];
  for (let k = 1; k < 8; k++) all.push(Int32Array.from(all[k - 1], (sum) => (sum >>> 8) ^ first[sum & 255]));
  return all;
})();

/** For places that have none of their own: browsers. */
export const crc32: Crc32 = (bytes, before = 0) => {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables;
  let sum = ~before;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low = sum ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    sum =
      t7[low & 255] ^
      t6[(low >>> 8) & 255] ^
      t5[(low >>> 16) & 255] ^
      t4[low >>> 24] ^
      t3[bytes[i + 4]] ^
      t2[bytes[i + 5]] ^
      t1[bytes[i + 6]] ^
      t0[bytes[i + 7]];
  }
  for (; i < bytes.length; i++) sum = (sum >>> 8) ^ t0[(sum ^ bytes[i]) & 255];
  return ~sum >>> 0;
};

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export const sha256Hex = (bytes: Uint8Array): string => bytesToHex(sha256(bytes));

/** SHA-256 (hex) of f32 values as little-endian bytes, whatever the byte order of the machine. */
export function tensorSha256(data: Float32Array): string {
  return sha256Hex(littleEndian ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : swapped(data));
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function swapped(data: Float32Array): Uint8Array {
  const bytes = new Uint8Array(data.byteLength);
  const view = new DataView(bytes.buffer);
  data.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

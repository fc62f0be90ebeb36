import type { ModelInfo } from '../engine/engine.ts';
import { canonicalJson } from '../graph/canonical.ts';
import type { PointName } from '../graph/points.ts';
import { sha256Hex } from '../graph/sha256.ts';
import type { CaptureText } from './batches.ts';

/** Grows when the layout of parts changes: older ones are then not found and made again. */
const LAYOUT = 1;

/** SHA-256 of the texts' token ids, 32 bits each, every text after its length. The last token of a text is the one that is read. */
export function textsHash(texts: readonly CaptureText[]): string {
  const count = texts.reduce((sum, { ids }) => sum + ids.length + 1, 0);
  const view = new DataView(new ArrayBuffer(4 * count));
  let at = 0;
  const put = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  for (const { ids } of texts) {
    put(ids.length);
    ids.forEach(put);
  }
  return sha256Hex(new Uint8Array(view.buffer));
}

/** The name of what is captured at one point: weights, how they are kept and computed, texts, point and layers; nothing else matters. */
export function captureKey(model: ModelInfo, texts: string, point: PointName, layers: readonly number[]): string {
  const { identity, quantization, precision } = model;
  const value = { tiller: LAYOUT, model: { identity, quantization, precision }, texts, point, layers };
  return sha256Hex(new TextEncoder().encode(canonicalJson(value)));
}

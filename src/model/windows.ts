import { refuseConfig, type ConfigReader } from './config-reader.ts';
import type { FamilyRow } from './families.ts';

/** What a layer sees: `size` tokens (the token itself and size - 1 before it) or all; `local` layers use the local rotary embedding. */
export interface LayerWindow {
  readonly size: number | null;
  readonly local: boolean;
}

const GLOBAL: LayerWindow = { size: null, local: false };
const WINDOW_LIMIT = 16777216;

/** The window of every layer, by the rule of the family. */
export function layerWindows(read: ConfigReader, row: FamilyRow, layers: number): LayerWindow[] {
  const every = (rule: (layer: number) => boolean, size: number): LayerWindow[] =>
    Array.from({ length: layers }, (_, layer) => (rule(layer) ? { size, local: true } : GLOBAL));
  switch (row.windows) {
    case 'none':
      return every(() => false, 0);
    case 'every-layer': {
      // Here null and absence differ: null switches the window off.
      if (read.json.sliding_window === null) return every(() => false, 0);
      const size = read.count('sliding_window', row.defaults.window, WINDOW_LIMIT);
      return every(() => true, size);
    }
    case 'upper-layers': {
      if (!read.flag('use_sliding_window', false) || read.json.sliding_window === null) return every(() => false, 0);
      const size = read.count('sliding_window', row.defaults.window, WINDOW_LIMIT);
      const types = layerTypes(read, layers);
      if (types) return every((layer) => types[layer], size);
      const first = read.absent('max_window_layers') ? 28 : wholeFrom0(read, 'max_window_layers');
      return every((layer) => layer >= first, size);
    }
    case 'pattern': {
      const types = layerTypes(read, layers);
      const pattern = types
        ? 1
        : read.count(read.absent('sliding_window_pattern') ? '_sliding_window_pattern' : 'sliding_window_pattern', 6, 1024);
      const local = (layer: number): boolean => (types ? types[layer] : (layer + 1) % pattern !== 0);
      const size = read.count('sliding_window', row.defaults.window, WINDOW_LIMIT);
      return every(local, size);
    }
  }
}

/** `layer_types` as "has a window" per layer; null where the config has none. */
function layerTypes(read: ConfigReader, layers: number): boolean[] | null {
  const value = read.json.layer_types ?? null;
  if (value === null) return null;
  if (!Array.isArray(value) || value.length !== layers) return refuseConfig(`layer_types is not a list of ${layers} entries`);
  return value.map((type: unknown) => {
    if (type === 'sliding_attention') return true;
    if (type === 'full_attention') return false;
    return refuseConfig(`layer_types has the unknown entry ${(JSON.stringify(type) ?? 'undefined').slice(0, 100)}`);
  });
}

function wholeFrom0(read: ConfigReader, key: string): number {
  return read.json[key] === 0 ? 0 : read.count(key, null, 1024);
}

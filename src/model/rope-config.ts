import { isRecord } from '../formats/json.ts';
import { ConfigReader, refuseConfig } from './config-reader.ts';
import type { FamilyRow } from './families.ts';
import type { RopeSpec } from './spec.ts';

/** Rotary embedding of layers that see everything and of layers with a window; the same where the family knows only one. */
export interface LayerKindRopes {
  readonly global: RopeSpec;
  readonly local: RopeSpec;
}

const LOCAL_THETA = 10000;

/**
 * Reads `rope_theta` and `rope_scaling` (older configs), or `rope_parameters` (newer ones: one object, or one per layer type).
 * Gemma's local layers have a base of their own and are never scaled.
 */
export function readRope(read: ConfigReader, row: FamilyRow, maxPositions: number): LayerKindRopes {
  const parameters = read.json.rope_parameters ?? null;
  if (parameters !== null) {
    if (!isRecord(parameters)) return refuseConfig('rope_parameters is not an object');
    return fromParameters(parameters, row, read, maxPositions);
  }
  const theta = read.positive('rope_theta', row.defaults.ropeTheta);
  const scaling = read.json.rope_scaling ?? null;
  if (scaling !== null && !isRecord(scaling)) return refuseConfig('rope_scaling is not an object');
  const global = { theta, scaling: scaling === null ? null : readScaling(scaling, 'rope_scaling', maxPositions) };
  const local = row.gemma ? { theta: read.positive('rope_local_base_freq', LOCAL_THETA), scaling: null } : global;
  return { global, local };
}

function fromParameters(parameters: Record<string, unknown>, row: FamilyRow, read: ConfigReader, maxPositions: number): LayerKindRopes {
  const one = (value: unknown, name: string, fallback: number): RopeSpec => {
    if (!isRecord(value)) return refuseConfig(`${name} is not an object`);
    const theta = new ConfigReader(value).positive('rope_theta', fallback);
    return { theta, scaling: readScaling(value, name, maxPositions) };
  };
  const perType = 'full_attention' in parameters || 'sliding_attention' in parameters;
  const theta = read.positive('rope_theta', row.defaults.ropeTheta);
  const localTheta = read.positive('rope_local_base_freq', LOCAL_THETA);
  if (!perType) {
    const global = one(parameters, 'rope_parameters', theta);
    return { global, local: row.gemma ? { theta: localTheta, scaling: null } : global };
  }
  const global = one(parameters.full_attention ?? {}, 'rope_parameters.full_attention', theta);
  if (!('sliding_attention' in parameters)) return { global, local: row.gemma ? { theta: localTheta, scaling: null } : global };
  return { global, local: one(parameters.sliding_attention, 'rope_parameters.sliding_attention', row.gemma ? localTheta : theta) };
}

function readScaling(json: Record<string, unknown>, name: string, maxPositions: number): RopeSpec['scaling'] {
  const type = json.rope_type ?? json.type ?? 'default';
  const read = new ConfigReader(json);
  const partial = json.partial_rotary_factor ?? 1;
  if (partial !== 1) return refuseConfig(`${name}.partial_rotary_factor is not 1: partial rotary embedding is not computed`);
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type: 'linear', factor: read.positive('factor', null) };
    case 'llama3': {
      const scaling = {
        type: 'llama3' as const,
        factor: read.positive('factor', null),
        lowFreqFactor: read.positive('low_freq_factor', null),
        highFreqFactor: read.positive('high_freq_factor', null),
        originalMaxPositions: read.count('original_max_position_embeddings', maxPositions, 16777216),
      };
      if (scaling.highFreqFactor <= scaling.lowFreqFactor) {
        return refuseConfig(`${name}: high_freq_factor ${scaling.highFreqFactor} is not above low_freq_factor ${scaling.lowFreqFactor}`);
      }
      return scaling;
    }
    default:
      return refuseConfig(
        `${name} has the type ${(JSON.stringify(type) ?? 'undefined').slice(0, 100)}, which is not computed; known are default, linear, llama3`,
      );
  }
}

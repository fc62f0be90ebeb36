import type { SettingRow } from './method.ts';

/** Settings that several methods share, with one meaning. */

export const tokens = {
  kind: 'selector',
  default: 'generated',
  doc: 'tokens that are edited: a word (`generated`, `answer`, `all`, `prompt`, `last`) or a selector as JSON',
} as const satisfies SettingRow;

export const layer = {
  kind: 'integer',
  default: -1,
  least: -1,
  most: 4095,
  doc: 'the layer to steer, counted from 0; -1 judges all layers',
} as const satisfies SettingRow;

export const count = {
  kind: 'integer',
  default: 0,
  least: 0,
  most: 65_536,
  doc: 'places used, the best first; 0 is one layer, or 48 of 1,024 heads scaled to the model',
} as const satisfies SettingRow;

export const hold = {
  kind: 'integer',
  default: 0,
  least: 0,
  most: 65_536,
  doc: 'places the graph holds, so that more can be tried without fitting again; 0 is every layer, or four times the number of heads',
} as const satisfies SettingRow;

export const multiplier = {
  kind: 'number',
  default: 1,
  least: -10_000,
  most: 10_000,
  doc: 'strength of every place',
} as const satisfies SettingRow;

export const dose = {
  kind: 'choice',
  default: 'gap',
  options: ['gap', 'sigma', 'unit'],
  doc: 'length of the vectors before the multiplier: the distance of the class means along the direction, one standard deviation along it, or 1',
} as const satisfies SettingRow;
export type Dose = (typeof dose)['options'][number];

/** Points of a layer that have a width of their own in every family. */
export const point = {
  kind: 'choice',
  default: 'resid_post',
  options: ['resid_pre', 'q', 'k', 'v', 'z', 'attn_out', 'resid_mid', 'mlp_act', 'mlp_hidden', 'mlp_out', 'resid_post'],
  doc: 'the point that is read and steered; at `q`, `k`, `v` and `z` every head is a place of its own',
} as const satisfies SettingRow;
export type LayerPoint = (typeof point)['options'][number];

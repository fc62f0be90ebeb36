import { bandwidth } from './bandwidth.ts';
import { captures } from './captures.ts';
import { chat } from './chat.ts';
import { commandLine } from './command-line.ts';
import { decode } from './decode.ts';
import { engines } from './engines.ts';
import { kernels } from './kernels.ts';
import { loading } from './loading.ts';
import type { Measurement } from './measurement.ts';
import { multipleChoice } from './multiple-choice.ts';
import { prefill } from './prefill.ts';
import { probes } from './probes.ts';
import { steering } from './steering.ts';
import { sweep } from './sweep.ts';

/** A measurement whose result's type only it knows. */
export type AnyMeasurement = Measurement<unknown>;

const erase = <Result>(measurement: Measurement<Result>): AnyMeasurement => ({
  ...measurement,
  rows: (result) => measurement.rows(result as Result),
});

/** Everything that is measured, in this order: memory first, as its peak cannot be taken back. */
export const measurements: readonly AnyMeasurement[] = [
  erase(loading),
  erase(decode),
  erase(prefill),
  erase(steering),
  erase(engines),
  erase(captures),
  erase(multipleChoice),
  erase(sweep),
  erase(probes),
  erase(chat),
  erase(commandLine),
  erase(bandwidth),
  erase(kernels),
];

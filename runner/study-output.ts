import type { FitReport } from '../src/fit/report.ts';
import type { JobReport } from '../src/jobs/job.ts';
import { partNames } from '../src/jobs/part-names.ts';
import { showEstimate, table } from './estimates.ts';
import type { Output } from './output.ts';

/** Progress, notes and points of a job on standard error as they come. */
export function jobEvents(output: Output): (event: JobReport) => void {
  const said = new Set<string>();
  return (event) => {
    if (event.type === 'note' && !said.has(event.text)) {
      said.add(event.text);
      output.note(event.text);
    }
    if (event.type === 'progress') {
      const reused = event.reused > 0 ? `, ${Math.round(event.reused)} from an earlier run` : '';
      output.progress(
        `${event.stage}: ${Math.round(event.done)} of ${Math.round(event.total)} ${event.unit}${reused}`,
        event.done,
        event.total,
        event.stage,
      );
    }
    // All of it is the result, which comes next.
    if (event.type === 'part' && event.done < event.total) {
      const rows = event.conditions.map(({ name, values }) => `${name}: ${partText(values)}`);
      output.note(`${event.done} of ${event.total} ${event.unit}: ${rows.join('; ')}`);
    }
    if (event.type === 'point') {
      const { strength, layer, count, effect, damage } = event.point;
      const where = layer === undefined ? '' : `layer ${layer}, `;
      const what = strength === 0 ? 'as is' : `${where}strength ${strength}, ${count} places`;
      output.note(`${what}: effect ${showEstimate(effect)}, KL ${showEstimate(damage.kl, 4)}`);
    }
  };
}

const partText = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${partNames[name] ?? name} ${value.toFixed(name === 'kl' ? 4 : 3)}`)
    .join(', ');

const shownPlaces = 10;

/** What a person wants to read of a fit: the best places, the sweep, what is recommended and why, the test. */
export function showReport(report: FitReport): string {
  const parts: string[] = [];
  const { method, rows } = report;
  parts.push(
    `${method.method}: ${rows.train} training, ${rows.validation} validation, ${rows.test} test rows; ${report.readings} texts read\n`,
  );
  if (method.places.length > 0) {
    parts.push(
      table([
        ['place', method.scoreName, 'accuracy [95 %]'],
        ...method.places
          .slice(0, shownPlaces)
          .map(({ layer, head, element, score, accuracy, interval }) => [
            `layer ${layer}${head === undefined ? '' : `, head ${head}`}${element === undefined ? '' : `, element ${element}`}`,
            score.toPrecision(4),
            accuracy === undefined || interval === undefined
              ? ''
              : `${accuracy.toFixed(3)} [${interval[0].toFixed(3)}, ${interval[1].toFixed(3)}]`,
          ]),
      ]),
    );
  }
  const layered = report.sweep.some(({ layer }) => layer !== undefined);
  if (report.sweep.length > 0) {
    parts.push(
      `\nvalidation: ${report.effectName}, ${report.effectUnit}\n`,
      table([
        ['', ...(layered ? ['layer'] : []), 'strength', 'places', 'effect', 'gain', 'KL, nats/token', 'cross entropy rise'],
        ...report.sweep.map((point, index) => [
          index === report.recommended ? '>' : report.frontier.includes(index) ? '.' : '',
          ...(layered ? [point.layer === undefined ? '' : String(point.layer)] : []),
          String(point.strength),
          String(point.count),
          showEstimate(point.effect),
          showEstimate(point.gain),
          showEstimate(point.damage.kl, 4),
          showEstimate(point.damage.crossEntropyRise),
        ]),
      ]),
      `> recommended, . on the frontier. ${report.reason}\n`,
    );
    if (report.cliff !== null) parts.push(`The text falls apart from strength ${report.cliff} on.\n`);
  }
  if (report.test.length > 0) {
    const choices = report.test.some(({ multipleChoice }) => multipleChoice);
    parts.push(
      '\ntest, measured once\n',
      table([
        ['', 'effect', 'gain', 'KL, nats/token', 'loops', ...(choices ? ['MC1', 'MC2', 'MC3'] : [])],
        ...report.test.map(({ name, effect, gain, damage, repetition, multipleChoice: mc }) => [
          name,
          showEstimate(effect),
          showEstimate(gain),
          showEstimate(damage.kl, 4),
          repetition ? showEstimate(repetition.looping, 2) : '',
          ...(mc ? [mc.mc1, mc.mc2, mc.mc3].map((estimate) => showEstimate(estimate)) : choices ? ['', '', ''] : []),
        ]),
      ]),
    );
  }
  if (report.promptOnly) {
    const { effect, gain } = report.promptOnly;
    parts.push(`prompt only (unedited, with the instruction in front): effect ${showEstimate(effect)}, gain ${showEstimate(gain)}\n`);
  }
  return parts.join('');
}

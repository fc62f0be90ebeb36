import { readFileSync } from 'node:fs';

/** What a part of the tests came to. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Names of skipped tests, or why they were skipped. */
  readonly reasons: readonly string[];
}

interface VitestReport {
  readonly numTotalTests: number;
  readonly numFailedTestSuites: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Counts of vitest's JSON report. A file that fails before its tests are known is one failed test. */
export function countVitest(text: string): Count {
  const report = JSON.parse(text) as VitestReport;
  const tests = report.testResults.flatMap((file) =>
    file.assertionResults.length === 0 && file.status === 'failed' ? [{ fullName: file.name, status: 'failed' }] : file.assertionResults,
  );
  const of = (...statuses: string[]): { readonly fullName: string }[] => tests.filter((test) => statuses.includes(test.status));
  const skipped = of('skipped', 'pending', 'todo', 'disabled');
  return {
    passed: of('passed').length,
    failed: of('failed').length,
    skipped: skipped.length,
    reasons: skipped.map((test) => test.fullName),
  };
}

interface PlaywrightSuite {
  readonly title: string;
  readonly suites?: readonly PlaywrightSuite[];
  readonly specs?: readonly {
    readonly title: string;
    readonly tests: readonly {
      readonly status: string;
      readonly annotations: readonly { readonly type: string; readonly description?: string }[];
    }[];
  }[];
}

interface PlaywrightReport {
  readonly suites: readonly PlaywrightSuite[];
  readonly errors: readonly unknown[];
}

/** Counts of Playwright's JSON report. A test that passed only when tried again has failed. */
export function countPlaywright(text: string): Count {
  const report = JSON.parse(text) as PlaywrightReport;
  const count = { passed: 0, failed: report.errors.length, skipped: 0, reasons: [] as string[] };
  const visit = (suite: PlaywrightSuite): void => {
    suite.suites?.forEach(visit);
    for (const spec of suite.specs ?? []) {
      for (const test of spec.tests) {
        if (test.status === 'expected') count.passed++;
        else if (test.status === 'skipped') {
          count.skipped++;
          const why = test.annotations.find((note) => note.type === 'skip' || note.type === 'fixme')?.description;
          count.reasons.push(why ? `${spec.title}: ${why}` : spec.title);
        } else count.failed++;
      }
    }
  };
  report.suites.forEach(visit);
  return count;
}

/**
 * A part's count from its report file and exit status. A part that ends badly without a failed test (it crashed, ran out of time, or
 * left errors behind after the last test) counts one failure, so that no total is better than its parts.
 */
export function countPart(status: number, reportFile: string | null, read: (text: string) => Count): Count {
  const ended = status === 0;
  if (reportFile === null) return { passed: ended ? 1 : 0, failed: ended ? 0 : 1, skipped: 0, reasons: [] };
  try {
    const count = read(readFileSync(reportFile, 'utf8'));
    return ended || count.failed > 0 ? count : { ...count, failed: 1 };
  } catch {
    return { passed: 0, failed: 1, skipped: 0, reasons: [] };
  }
}

export const addCounts = (counts: readonly Count[]): Count =>
  counts.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
      reasons: [...sum.reasons, ...one.reasons],
    }),
    { passed: 0, failed: 0, skipped: 0, reasons: [] },
  );

import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

const PROGRESS_MS = 60_000;

/**
 * A vitest reporter that leaves counts, the errors of each test that failed or passed only at the second try, and the reason of
 * each skipped one in the file named by VIGIE_TEST_RESULT. A reason is what a test gave to `context.skip(reason)`; a suite that
 * skips as a whole names it in its title.
 * With VIGIE_TEST_COMPACT it also prints, as the only reporter: a line a minute, and whatever fails as soon as it fails. A log of
 * which only a part is kept then still says what is red.
 */
export default class ResultReporter {
  #compact = (process.env.VIGIE_TEST_COMPACT ?? '') !== '';
  #files = 0;
  #done = 0;
  #failed = 0;
  #started = Date.now();
  #timer;

  onTestRunStart(specifications) {
    if (!this.#compact) return;
    this.#files = specifications.length;
    this.#started = Date.now();
    this.#timer = setInterval(() => this.#progress(), PROGRESS_MS);
    this.#timer.unref();
    this.#progress();
  }

  onTestModuleEnd() {
    this.#done += 1;
  }

  onTestCaseResult(test) {
    const result = test.result();
    if (!this.#compact || result.state !== 'failed') return;
    this.#failed += 1;
    const file = relative(process.cwd(), test.module.moduleId);
    process.stdout.write(`FAILED ${file} > ${test.fullName}\n${result.errors.map(wholeOf).join('\n')}\n`);
    process.stdout.write(printedBy(test));
  }

  #progress() {
    const seconds = Math.round((Date.now() - this.#started) / 1000);
    process.stdout.write(`${this.#done} of ${this.#files} test files, ${this.#failed} tests failed, ${seconds} s\n`);
  }

  onTestRunEnd(modules, unhandledErrors) {
    clearInterval(this.#timer);
    if (this.#compact) {
      this.#progress();
      // Errors of no test have no moment of their own at which vitest would tell them.
      for (const error of unhandledErrors) process.stdout.write(`FAILED outside of any test\n${wholeOf(error)}\n`);
    }
    let passed = 0;
    const failed = unhandledErrors.map((error) => ({ name: 'outside of any test', reason: reasonOf([error]) }));
    const skipped = [];
    const unsteady = [];
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      // A file that could not be loaded, or a hook that failed, holds no test that could say so.
      for (const owner of [module, ...module.children.allSuites()]) {
        const errors = owner.errors();
        if (errors.length > 0)
          failed.push({ name: `${file}${owner === module ? '' : ` > ${owner.fullName}`}`, reason: reasonOf(errors) });
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') {
          passed += 1;
          if (test.diagnostic()?.flaky === true)
            unsteady.push({ name: `${file} > ${test.fullName}`, reason: reasonOf(result.errors ?? []) });
        } else if (result.state === 'failed')
          failed.push({ name: `${file} > ${test.fullName}`, reason: reasonOf(result.errors) });
        else skipped.push({ name: `${file} > ${test.fullName}`, reason: result.note ?? 'see its title' });
      }
    }
    writeFileSync(process.env.VIGIE_TEST_RESULT, JSON.stringify({ passed, failed, skipped, unsteady }));
  }
}

/** The first lines of what went wrong: enough to know which it is; the whole stands above in the output. */
function reasonOf(errors) {
  const text = errors.map((error) => String(error?.message ?? error)).join(' | ');
  return text.split('\n').slice(0, 6).join(' ').slice(0, 600);
}

/** An error with the beginning of its stack, and of the difference that an assertion shows. */
function wholeOf(error) {
  const stack = String(error?.stack ?? error?.message ?? error).split('\n');
  const ours = stack.filter((line) => !line.includes('node_modules')).slice(0, 20);
  const diff = String(error?.diff ?? '').split('\n');
  return [...ours, ...diff.slice(0, 40)].join('\n').slice(0, 4000);
}

/** The end of what a test printed; empty when it printed nothing. */
function printedBy(test) {
  const printed = (test.task?.logs ?? []).map((log) => log.content).join('');
  return printed === '' ? '' : `It printed, at the end:\n${printed.slice(-3000)}\n`;
}

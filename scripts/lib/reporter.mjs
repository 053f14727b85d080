import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/**
 * A vitest reporter that leaves counts, the errors of each failed test and the reason of each skipped one in the file named by
 * VIGIE_TEST_RESULT. A reason is what a test gave to `context.skip(reason)`; a suite that skips as a whole names it in its title.
 */
export default class ResultReporter {
  onTestRunEnd(modules, unhandledErrors) {
    let passed = 0;
    const failed = unhandledErrors.map((error) => ({ name: 'outside of any test', reason: reasonOf([error]) }));
    const skipped = [];
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
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed')
          failed.push({ name: `${file} > ${test.fullName}`, reason: reasonOf(result.errors) });
        else skipped.push({ name: `${file} > ${test.fullName}`, reason: result.note ?? 'see its title' });
      }
    }
    writeFileSync(process.env.VIGIE_TEST_RESULT, JSON.stringify({ passed, failed, skipped }));
  }
}

/** The first lines of what went wrong: enough to know which it is; the whole stands above in the output. */
function reasonOf(errors) {
  const text = errors.map((error) => String(error?.message ?? error)).join(' | ');
  return text.split('\n').slice(0, 6).join(' ').slice(0, 600);
}

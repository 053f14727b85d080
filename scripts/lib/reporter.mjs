import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/**
 * A vitest reporter that leaves counts, and the reason of each skipped test, in the file named by VIGIE_TEST_RESULT.
 * A reason is what a test gave to `context.skip(reason)`; a suite that skips as a whole names it in its title.
 */
export default class ResultReporter {
  onTestRunEnd(modules, unhandledErrors) {
    let passed = 0;
    let failed = unhandledErrors.length;
    const skipped = [];
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      // A file that could not be loaded, or a hook that failed, holds no test that could say so.
      for (const owner of [module, ...module.children.allSuites()]) if (owner.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed') failed += 1;
        else skipped.push({ name: `${file} > ${test.fullName}`, reason: result.note ?? 'see its title' });
      }
    }
    writeFileSync(process.env.VIGIE_TEST_RESULT, JSON.stringify({ passed, failed, skipped }));
  }
}

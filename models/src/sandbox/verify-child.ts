import { PackageError } from '../package/package-error.js';
import { serveJobs } from './serve-jobs.js';
import { verifyPackage } from './verify-package.js';

/** Sandboxed: a job is `{package: PATH}`, its answer a Verification. */
await serveJobs((job) => verifyPackage((job as { package: string }).package), [PackageError]);

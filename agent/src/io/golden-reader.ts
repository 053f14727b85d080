import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { InstallError } from '../update/install-error.js';
import type { GoldenPicture, StoredPackage } from '../update/ports.js';
import type { GoldenAnswer, GoldenJob } from './golden-worker.js';

/**
 * Decodes a package's golden frames in a thread of their own: resizing a picture takes 10 to 80 ms of pure computing on
 * a board, and in the agent's thread the live frames would wait for it. Throws InstallError PACKAGE_INVALID.
 */
export async function readGolden({ directory, open }: StoredPackage): Promise<GoldenPicture[]> {
  // By the package's own name, so that the compiled worker is found from the sources too (tests).
  const entry = createRequire(import.meta.url).resolve('@vigie/agent/io/golden-worker');
  const job: GoldenJob = { directory, input: open.manifest.input, golden: open.manifest.golden };
  const worker = new Worker(entry, { workerData: job, execArgv: [] });
  const answer = await new Promise<GoldenAnswer>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the decoder of golden frames ended with exit ${code}`)));
  });
  if (answer.ok) return answer.pictures;
  const code = answer.code === 'INTERNAL' ? 'INTERNAL' : 'PACKAGE_INVALID';
  throw new InstallError(code, `${answer.code}: ${answer.message}`);
}

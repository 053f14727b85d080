import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { type JudgementView, judgementText } from './gate-views.js';
import { parseReleaseName, releaseLabel } from './release-name.js';
import { table } from './table.js';

interface Benchmark {
  id: number;
  release: { name: string; version: string };
  source: string;
  deviceId: string | null;
  result: {
    at: string;
    benchmark: string;
    platform: { arch: string; hardwareClass?: string; emulated: boolean };
    samples: number;
    metrics: Record<string, number>;
  };
}

interface Asked {
  id: string;
  deviceId: string;
  state: string;
  code: string | null;
  detail: string | null;
  benchmark: number | null;
}

/** Metrics that a table has room for. */
const SHOWN = ['fps', 'latencyMs.p95', 'ap50'];

/** `vigie benchmark …` */
export function addBenchmarkCommands(program: Command, { client, print, progress }: CommandContext): void {
  const benchmark = program.command('benchmark').description('what releases were measured at');
  const asked = (items: Asked[]) =>
    table(
      ['DEVICE', 'STATE', 'CODE', 'RESULT', 'DETAIL'],
      items.map((one) => [one.deviceId, one.state, one.code ?? '-', String(one.benchmark ?? '-'), one.detail ?? '-']),
    );

  benchmark
    .command('post <file...>')
    .description('post results of vigie-bench --json; the gates judge their release at once')
    .action(async (files: string[]) => {
      const answers: (JudgementView & { id: number; created: boolean })[] = [];
      for (const file of files) {
        answers.push(await client().post('/benchmarks', await readDocument(file)));
        progress(`${file}: ${answers[answers.length - 1].created ? 'stored' : 'known already'}`);
      }
      print({ items: answers }, () => judgementText(answers[answers.length - 1]));
    });
  benchmark
    .command('list [release]')
    .description('results, newest first')
    .option('--limit <n>', 'at most so many', '50')
    .action(async (release: string | undefined, { limit }: { limit: string }) => {
      const query = new URLSearchParams({ limit, ...(release === undefined ? {} : parseReleaseName(release)) });
      const { items } = await client().get<{ items: Benchmark[] }>(`/benchmarks?${query}`);
      const row = ({ id, release: of, source, deviceId, result }: Benchmark) => [
        ...[String(id), result.at, releaseLabel(of), deviceId ?? source, result.benchmark],
        `${result.platform.hardwareClass ?? result.platform.arch}${result.platform.emulated ? ' (emulated)' : ''}`,
        String(result.samples),
        ...SHOWN.map((name) => (result.metrics[name] === undefined ? '-' : String(result.metrics[name]))),
      ];
      const head = ['ID', 'AT', 'RELEASE', 'BY', 'BENCHMARK', 'PLATFORM', 'SAMPLES', 'FPS', 'P95 MS', 'AP50'];
      print({ items }, () => table(head, items.map(row)));
    });
  benchmark
    .command('lab <release>')
    .description('ask boards of the lab to measure name@version: those named, or all that are online')
    .option('--device <id...>', 'these boards')
    .option('--class <name...>', 'boards of these hardware classes')
    .option('--samples <n>', 'frames that count', '300')
    .action(async (release: string, options: { device?: string[]; class?: string[]; samples: string }) => {
      const { name, version } = parseReleaseName(release);
      const body = {
        samples: Number(options.samples),
        ...(options.device === undefined ? {} : { devices: options.device }),
        ...(options.class === undefined ? {} : { hardwareClasses: options.class }),
      };
      const path = `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}/lab-benchmarks`;
      const { items } = await client().post<{ items: Asked[] }>(path, body);
      print({ items }, () => asked(items));
    });
  benchmark
    .command('asked <release>')
    .description('what boards of the lab were asked, and what came of it')
    .action(async (release: string) => {
      const { name, version } = parseReleaseName(release);
      const path = `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}/lab-benchmarks`;
      const { items } = await client().get<{ items: Asked[] }>(path);
      print({ items }, () => asked(items));
    });
}

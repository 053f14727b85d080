import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { parseReleaseName } from './release-name.js';
import { addSpecOptions, requestOf, type SpecOptions } from './rollout-options.js';
import {
  DONE,
  detailText,
  listText,
  type Preview,
  previewText,
  type RehearsalView,
  type RolloutDetail,
  type RolloutSummary,
  rehearsalText,
} from './rollout-text.js';
import { table } from './table.js';

/** How often a watched rollout is looked at, ms. */
const WATCH_EVERY_MS = 1000;

interface AssignOptions {
  retry?: boolean;
  shadow?: string;
  transport?: string;
  jitter?: string;
}

/** `vigie rollout …` */
export function addRolloutCommands(program: Command, context: CommandContext): void {
  const { client, print } = context;
  const rollout = program.command('rollout').description('bring releases to boards');
  addMaking(rollout, context);
  addLooking(rollout, context);
  addSteering(rollout, context);
  rollout
    .command('assign <release> <device...>')
    .description('give boards a release, written name@version')
    .option('--retry', 'also where this release failed before')
    .option('--shadow <seconds>', 'let it only look beside the live model for so long, and report')
    .option('--transport <name>', 'mqtt, https or auto')
    .option('--jitter <seconds>', 'each board waits a part of this before its download')
    .action(async (target: string, devices: string[], options: AssignOptions) => {
      const { retry, shadow, transport, jitter } = options;
      const body = {
        ...{ devices, ...parseReleaseName(target) },
        ...(retry ? { retry } : {}),
        ...(shadow === undefined ? {} : { shadow: { seconds: Number(shadow) } }),
        ...(transport === undefined && jitter === undefined
          ? {}
          : {
              delivery: {
                ...(transport === undefined ? {} : { transport }),
                ...(jitter === undefined ? {} : { jitterSeconds: Number(jitter) }),
              },
            }),
      };
      const done = await client().post<{ assignments: { deviceId: string; generation: number }[] }>(
        '/assignments',
        body,
      );
      print(done, () =>
        table(
          ['DEVICE', 'GENERATION'],
          done.assignments.map((one) => [one.deviceId, String(one.generation)]),
        ),
      );
    });
}

function addMaking(rollout: Command, context: CommandContext): void {
  const { client, print } = context;
  const request = async (release: string | undefined, options: SpecOptions) => {
    const document = options.file === undefined ? {} : await readDocument(options.file);
    if (typeof document !== 'object' || document === null || Array.isArray(document))
      return context.misused('FILE_INVALID', `${options.file}: holds no mapping; see docs/rollouts.md`);
    return requestOf(release, options, document as Record<string, unknown>, context);
  };
  addSpecOptions(
    rollout
      .command('create [release]')
      .description('make a rollout of name@version; canary, half, all unless told otherwise'),
  )
    .option('--dry-run', 'store nothing; say which boards would come into which wave')
    .option('--start', 'start it at once')
    .action(async (release: string | undefined, options: SpecOptions & { dryRun?: boolean; start?: boolean }) => {
      const body = await request(release, options);
      if (options.dryRun === true) {
        const preview = await client().post<Preview>('/rollouts?dryRun=true', body);
        print(preview, () => previewText(preview));
        return;
      }
      const made = await client().post<RolloutDetail>(`/rollouts${options.start ? '?start=true' : ''}`, body);
      print(made, () => detailText(made));
    });
  addSpecOptions(
    rollout.command('rehearse [release]').description('predict duration, bytes and stragglers from history'),
  ).action(async (release: string | undefined, options: SpecOptions) => {
    const found = await client().post<RehearsalView>('/rollouts/rehearse', await request(release, options));
    print(found, () => rehearsalText(found));
  });
}

function addLooking(rollout: Command, { client, print, progress }: CommandContext): void {
  rollout
    .command('list')
    .description('rollouts, newest first')
    .option('--state <state>', 'only those')
    .option('--limit <n>', 'at most so many', '50')
    .action(async ({ state, limit }: { state?: string; limit: string }) => {
      const query = new URLSearchParams({ limit, ...(state === undefined ? {} : { state }) });
      const page = await client().get<{ items: RolloutSummary[]; next: string | null }>(`/rollouts?${query}`);
      print(page, () => listText(page.items));
    });
  rollout
    .command('show <id>')
    .description('its waves, their counts, and why')
    .action(async (id: string) => {
      const one = await client().get<RolloutDetail>(`/rollouts/${encodeURIComponent(id)}`);
      print(one, () => detailText(one));
    });
  rollout
    .command('watch <id>')
    .description('follow it to its end; exits 1 unless it succeeded')
    .action(async (id: string) => {
      const api = client();
      let told = '';
      for (;;) {
        const one = await api.get<RolloutDetail>(`/rollouts/${encodeURIComponent(id)}`);
        const line = watchLine(one);
        if (line !== told) progress(line);
        told = line;
        if (DONE.includes(one.state) || one.state === 'paused') {
          print(one, () => detailText(one));
          if (one.state !== 'succeeded') process.exitCode = 1;
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
      }
    });
}

function watchLine({ state, phase, wave, waves, totals }: RolloutDetail): string {
  const counts = Object.entries(totals).map(([name, count]) => `${count} ${name}`);
  return `${state} (${phase}), wave ${Math.min(wave + 1, waves)} of ${waves}: ${counts.join(', ') || 'no boards yet'}`;
}

function addSteering(rollout: Command, { client, print }: CommandContext): void {
  const send = async (id: string, command: string, body: Record<string, unknown>) => {
    const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
    const one = await client().post<RolloutDetail>(`/rollouts/${encodeURIComponent(id)}/${command}`, given);
    print(one, () => detailText(one));
  };
  const described = {
    pause: 'tell no more boards; those at work go on',
    abort: 'end it: boards that have not ended stay with what they ran',
    rollback: 'turn all its boards back to what they ran before',
  };
  for (const [name, description] of Object.entries(described)) {
    rollout
      .command(`${name} <id>`)
      .description(description)
      .option('--reason <text>', 'why')
      .action((id: string, { reason }: { reason?: string }) => send(id, name, { reason }));
  }
  rollout
    .command('start <id>')
    .description('start it')
    .action((id: string) => send(id, 'start', {}));
  rollout
    .command('resume <id>')
    .description('go on after a pause')
    .option('--accept', 'take the wave as it is, though its thresholds or gates did not hold')
    .action((id: string, { accept }: { accept?: boolean }) => send(id, 'resume', { accept }));
  rollout
    .command('retry <id>')
    .description('tell boards again on which it failed')
    .action((id: string) => send(id, 'retry', {}));
  rollout
    .command('approve <id>')
    .description('let the wave open that waits for approval')
    .option('--winner <cohort>', 'A or B: end a comparison')
    .option('--reason <text>', 'why')
    .action((id: string, { winner, reason }: { winner?: string; reason?: string }) =>
      send(id, 'approve', { winner, reason }),
    );
}

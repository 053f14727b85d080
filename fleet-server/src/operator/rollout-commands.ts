import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { parseReleaseName } from './release-name.js';
import { table } from './table.js';

interface AssignOptions {
  retry?: boolean;
  shadow?: string;
  transport?: string;
  jitter?: string;
}

/** `vigie rollout …` */
export function addRolloutCommands(program: Command, { client, print }: CommandContext): void {
  const rollout = program.command('rollout').description('bring releases to boards');
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

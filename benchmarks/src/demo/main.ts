import { existsSync, readdirSync } from 'node:fs';
import { runCommand } from '../rig/command.js';
import {
  AGENT_CLI,
  CLIP,
  FP32_PACKAGE,
  INT8_PACKAGE,
  MissingPieceError,
  requireFiles,
  SERVER_CLI,
} from '../rig/repository.js';
import { Rig } from '../rig/rig.js';
import { pause } from '../rig/wait.js';
import { hintFor } from './hints.js';
import { Narrator } from './narrator.js';
import { type DemoOptions, parseDemoOptions } from './options.js';
import { type DemoReport, emptyReport } from './report.js';
import { type DemoWorld, tellStory } from './story.js';

async function checkPrerequisites({ source }: DemoOptions): Promise<void> {
  requireFiles([AGENT_CLI, SERVER_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE]);
  for (const tool of ['ffmpeg', 'ffprobe']) {
    await runCommand(tool, tool, ['-version']).catch(() => {
      throw new MissingPieceError(`${tool} does not run: apt-get install ffmpeg`);
    });
  }
  if (source !== undefined && !/^[a-z][a-z0-9+.-]+:/i.test(source) && !existsSync(source)) {
    throw new MissingPieceError(
      `--source ${source} does not exist; give a video file, rtsp://…, http://… or /dev/videoN`,
    );
  }
}

function tellOutcome(narrator: Narrator, report: DemoReport): void {
  narrator.title(report.ok ? 'Every check held' : 'Not every check held');
  for (const { name, ok, value } of report.checks) narrator.check(name, ok, value === null ? '–' : String(value));
}

function tellWayIn(narrator: Narrator, rig: Rig, { server, board, tokenFile }: DemoWorld): void {
  narrator.title('Look around');
  narrator.line(`  board        ${board.client.base}    stream ${board.client.streamUrl}`);
  narrator.line(`  fleet server ${server.httpUrl}    broker ${server.mqttUrl}`);
  narrator.line(`  admin token  ${tokenFile}`);
  narrator.line(
    `  logs         ${readdirSync(rig.path('logs'))
      .map((name) => rig.path('logs', name))
      .join(' ')}`,
  );
}

async function main(options: DemoOptions): Promise<number> {
  const narrator = new Narrator(options.json ? process.stderr : process.stdout);
  const report = emptyReport();
  let rig: Rig | undefined;
  let exitCode = 0;
  try {
    await checkPrerequisites(options);
    rig = new Rig(options.data, options.keep);
    narrator.title('Vigie: one board, one fleet server, a model swap while you watch');
    const world = await tellStory(rig, options, narrator, report);
    tellOutcome(narrator, report);
    exitCode = report.ok ? 0 : 1;
    if (!options.once) {
      if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
      tellWayIn(narrator, rig, world);
      narrator.line('\nRunning until Ctrl-C.');
      rig.interruptExitCode = exitCode;
      for (;;) {
        rig.assertRunning();
        await pause(1000);
      }
    }
  } catch (error) {
    const logs = rig?.logTails() ?? '';
    report.ok = false;
    report.error = error instanceof Error ? error.message : String(error);
    if (logs !== '') narrator.line(`\n${logs}`);
    narrator.failure(report.error);
    narrator.note(hintFor(error, logs));
    exitCode = error instanceof MissingPieceError ? 2 : 1;
  } finally {
    await rig?.close();
  }
  if (options.keep && rig !== undefined) narrator.line(`\nkept: ${rig.directory}`);
  if (options.once && options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  return exitCode;
}

const code = await main(parseDemoOptions(process.argv.slice(2)));
process.stdout.write('', () => process.exit(code));

import { Command, InvalidArgumentError } from 'commander';

export interface DemoOptions {
  once: boolean;
  json: boolean;
  /** File, rtsp:// or http:// URL, or /dev/videoN; undefined: the bundled clip. */
  source?: string;
  keep: boolean;
  data?: string;
  httpPort?: number;
  serverPort?: number;
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('expected a port from 1 to 65535');
  return value;
}

/** Parses the demo's arguments; `--help` and wrong use end the process (0 and 2). */
export function parseDemoOptions(argv: readonly string[]): DemoOptions {
  const program = new Command('npm run demo --')
    .description('A fleet server and one board on this machine: live detections, then a model swap over MQTT.')
    .option('--once', 'end after the story; exit 0 only if every check held', false)
    .option('--json', 'print one JSON document on stdout; the story goes to stderr', false)
    .option('--source <source>', 'video file, rtsp://…, http://… or /dev/video0 instead of the bundled clip')
    .option('--keep', 'keep the data folder (a temporary one) at the end', false)
    .option('--data <dir>', 'data folder to use and keep; a second run goes on with it')
    .option('--http-port <port>', "port of the board's page", port)
    .option('--server-port <port>', "port of the fleet server's API", port)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  return program.parse([...argv], { from: 'user' }).opts<DemoOptions>();
}

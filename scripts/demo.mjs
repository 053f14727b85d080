#!/usr/bin/env node
import { orFail } from './lib/console.mjs';
import { become, setUp } from './lib/setup.mjs';

const HELP = `npm run demo -- [options]

Installs what is missing, builds, starts a fleet server and one enrolled board on the bundled clip, publishes the FP32 and
the INT8 release, measures both for the gate, assigns FP32, waits for live detections, swaps INT8 in and shows the figures.
Prints URLs to look at.

  --once             end after the story; exit 0 only if every check held
  --json             print one JSON document on stdout and nothing else there; the story goes to stderr
  --source SOURCE    a video file, rtsp://..., http://... or /dev/video0 in place of the bundled clip
  --data DIRECTORY   use this data folder and keep it; a second run goes on with it
  --keep             keep the temporary data folder at the end
  --http-port PORT   port of the board's page; --server-port PORT that of the fleet server (default: free ones)
  --help             this text

Ctrl-C ends the demo and everything it started.
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(HELP);
} else {
  const quiet = args.includes('--json');
  await orFail(() => setUp({ quiet, programs: ['ffmpeg'] }));
  await become('benchmarks/dist/demo/main.js', args);
}

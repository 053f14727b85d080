#!/usr/bin/env node
import { orFail } from './lib/console.mjs';
import { become, setUp } from './lib/setup.mjs';

const args = process.argv.slice(2);
await orFail(() => setUp({ quiet: args.includes('--json'), programs: ['ffmpeg'] }));
await become('benchmarks/dist/cli.js', args.length === 0 ? ['--help'] : args);

#!/usr/bin/env node
import { orFail } from './lib/console.mjs';
import { become, setUp } from './lib/setup.mjs';

await orFail(() => setUp({ quiet: true, programs: ['ffmpeg'] }));
await become('benchmarks/dist/chaos/main.js', process.argv.slice(2));

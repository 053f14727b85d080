#!/usr/bin/env node
// Cuts models/media/crops out of the stills: 96 x 96 pictures with a person and without, a folder each. They calibrate the
// person classifier, are its golden frames, and tell how it does on pictures that are nobody's but ours. The cuts
// follow models/training's: squares around a person with some room, and squares of the same sizes that no person reaches.
// Needs `npx tsc -b models`. The same stills give the same pictures.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

const SIDE = 96;
/** A person much hidden, or cut off by the picture's edge, is no fair question. */
const MIN_VISIBLE = 0.6;
/** Sides of the two squares around each person, in heights of that person. */
const ROOM = [1.15, 1.6];
/** Places tried per person-free crop; the busiest is kept: a bare wall is no question. */
const TRIES = 3;

const media = fileURLToPath(new URL('../media', import.meta.url));
const stills = join(media, 'stills');
const out = join(media, 'crops');
const { width, height, images } = JSON.parse(await readFile(join(stills, 'stills.boxes.json'), 'utf8'));

await rm(out, { recursive: true, force: true });
for (const folder of ['person', 'no-person']) await mkdir(join(out, folder), { recursive: true });
const random = generator(7);
let count = 0;
for (const [index, { file, persons }] of images.entries()) {
  const picture = await readFile(join(stills, file));
  const name = file.replace(/\.jpg$/, '');
  for (const { id, box, visible } of persons) {
    if (visible < MIN_VISIBLE) continue;
    for (const [number, room] of ROOM.entries()) {
      const [x1, y1, x2, y2] = box;
      const side = Math.min(height, Math.round(room * Math.max(x2 - x1, y2 - y1)));
      const shift = () => (room - 1) * (y2 - y1) * 0.5 * (random() - 0.5);
      const square = squareAround((x1 + x2) / 2 + shift(), (y1 + y2) / 2 + shift(), side);
      await save('person', `${name}_${id}${'ab'[number]}`, await cut(picture, square));
    }
  }
  // as many without: some stills show nobody, some three people
  const wanted = persons.length === 0 ? 6 : 2 + (index % 2);
  for (let number = 0; number < wanted; number++) {
    const places = [];
    for (let attempt = 0; attempt < 400 && places.length < TRIES; attempt++) {
      const square = squareAround(random() * width, random() * height, Math.round(80 + random() * 120));
      if (!persons.some(({ box }) => meets(square, box))) places.push(square);
    }
    if (places.length === 0) continue;
    const cuts = await Promise.all(
      places.map(async (place) => {
        const pixels = await cut(picture, place);
        return { pixels, contrast: (await sharp(pixels).stats()).channels.reduce((sum, { stdev }) => sum + stdev, 0) };
      }),
    );
    const busiest = cuts.reduce((a, b) => (b.contrast > a.contrast ? b : a));
    await save('no-person', `${name}_${number}`, busiest.pixels);
  }
}
console.error(`${out}: ${count} crops`);

function squareAround(x, y, side) {
  const left = Math.round(Math.min(Math.max(x - side / 2, 0), width - side));
  const top = Math.round(Math.min(Math.max(y - side / 2, 0), height - side));
  return { left, top, width: side, height: side };
}

function meets({ left, top, width: side }, [x1, y1, x2, y2]) {
  return x1 < left + side && x2 > left && y1 < top + side && y2 > top;
}

function cut(picture, square) {
  return sharp(picture).extract(square).resize(SIDE, SIDE, { kernel: 'linear' }).png().toBuffer();
}

async function save(folder, name, pixels) {
  await writeFile(join(out, folder, `${name}.jpg`), await sharp(pixels).jpeg({ quality: 92 }).toBuffer());
  count++;
}

/** mulberry32: uniform in 0..1, the same row on every machine. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const LIGHTS = '/sys/class/leds';
/** The light that a board has for itself comes first. */
const FAVOURITES = ['ACT', 'led0', 'PWR', 'led1'];

/**
 * Lets a light of the board blink for a while, then gives it back to what it showed before. Returns its name; null: there is none
 * that this user may write.
 */
export async function blinkLight(
  after: (ms: number, run: () => void) => unknown,
  { directory = LIGHTS, ms = 20_000 }: { directory?: string; ms?: number } = {},
): Promise<string | null> {
  const names = await readdir(directory).catch(() => [] as string[]);
  const rank = (name: string) => (FAVOURITES.indexOf(name) + FAVOURITES.length + 1) % (FAVOURITES.length + 1);
  for (const name of names.sort((a, b) => rank(a) - rank(b))) {
    const trigger = join(directory, name, 'trigger');
    try {
      const before = /\[([^\]]+)\]/.exec(await readFile(trigger, 'utf8'))?.[1] ?? 'none';
      await writeFile(trigger, 'timer');
      after(ms, () => void writeFile(trigger, before).catch(() => undefined));
      return name;
    } catch {
      // Not ours to write, or without a timer: the next one.
    }
  }
  return null;
}

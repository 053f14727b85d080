import type { BoardHeat } from '../ports.js';

/** Time between two looks at the thermometer, ms. */
export const HEAT_EVERY_MS = 1000;

/**
 * Why a board is too hot to judge a model on, as a clause ("the board is at 83 °C, …"); null: it is not, or has no sensor that
 * says so. A throttled processor counts however cool it is: lack of voltage slows it down just the same.
 */
export function tooHot(heat: BoardHeat, maxTemperatureC: number): string | null {
  const { temperatureC, throttled } = heat;
  if (temperatureC !== null && temperatureC >= maxTemperatureC) {
    return `the board is at ${temperatureC.toFixed(0)} °C, from ${maxTemperatureC} °C on its speed says nothing`;
  }
  if (throttled !== true) return null;
  const at = temperatureC === null ? '' : ` at ${temperatureC.toFixed(0)} °C`;
  return `the board throttles its processor${at} (heat, or too weak a power supply)`;
}

/** Looks at the thermometer now and every second until told to stop. `hot` is called once at the most, never before this returns. */
export function watchHeat(options: {
  after(ms: number, run: () => void): () => void;
  readHeat: () => BoardHeat;
  maxTemperatureC: number;
  hot(reason: string): void;
}): () => void {
  const { after, readHeat, maxTemperatureC, hot } = options;
  const first = readHeat().temperatureC;
  let cancel = () => {};
  const look = (): void => {
    const heat = readHeat();
    const reason = tooHot(heat, maxTemperatureC);
    if (reason === null) cancel = after(HEAT_EVERY_MS, look);
    else hot(first === null ? reason : `${reason}; it was at ${first.toFixed(0)} °C when this began`);
  };
  cancel = after(0, look);
  return () => cancel();
}

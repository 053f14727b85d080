import { InvalidArgumentError } from 'commander';

/** A whole number of an option. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 1_000_000)
    throw new InvalidArgumentError('expected a whole number from 0 to 1000000');
  return value;
}

/** A number above zero of an option. */
export function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

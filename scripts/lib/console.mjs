/** Set-up talks on stderr only: stdout belongs to the program that was asked for (`--json` prints one document there). */

export class SetupError extends Error {}

const colour = process.stderr.isTTY && process.env.NO_COLOR === undefined;
const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

/** A line for people about what set-up does; silent when `quiet`. */
export function say(quiet, text) {
  if (!quiet) process.stderr.write(`${paint(2, text)}\n`);
}

/** Prints the one thing that is wrong and what to do about it, and ends the process. */
export function fail(message, exitCode = 1) {
  process.stderr.write(`${paint(31, message)}\n`);
  process.exit(exitCode);
}

/** Runs a set-up; a SetupError ends the process with its message, anything else is a bug and keeps its stack. */
export async function orFail(run) {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SetupError) fail(error.message);
    throw error;
  }
}

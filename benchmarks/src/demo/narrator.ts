/** Tells the story: a line per step and its outcome. Plain text; colour only on a terminal that wants it. */
export class Narrator {
  readonly #out: NodeJS.WriteStream;
  readonly #colour: boolean;
  #stepStarted = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#colour = out.isTTY === true && process.env.NO_COLOR === undefined;
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`);
  }

  title(text: string): void {
    this.line(`\n${this.#paint('1', text)}`);
  }

  /** A step begins; what follows until the next one belongs to it. */
  step(text: string): void {
    this.#stepStarted = performance.now();
    this.line(`\n${this.#paint('36', '●')} ${text}`);
  }

  /** Something of the step came true. */
  done(text: string): void {
    const seconds = ((performance.now() - this.#stepStarted) / 1000).toFixed(1);
    this.line(`  ${this.#paint('32', '✓')} ${text} ${this.#paint('2', `(${seconds} s)`)}`);
  }

  note(text: string): void {
    this.line(`    ${this.#paint('2', text)}`);
  }

  check(name: string, ok: boolean, value: string): void {
    this.line(`  ${ok ? this.#paint('32', '✓') : this.#paint('31', '✗')} ${name.padEnd(46)} ${value}`);
  }

  failure(text: string): void {
    this.line(`\n${this.#paint('31', '✗')} ${text}`);
  }
}

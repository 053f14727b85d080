/** Lines kept, and bytes of them that are given out at the most. */
const LINES = 2000;
const MAX_BYTES = 100 * 1024;
const MAX_LINE = 4000;

/** What must not leave the board: tokens, passwords in addresses, keys. */
const SECRETS: readonly [RegExp, string][] = [
  [/\bvg[a-z]_[A-Za-z0-9_-]{8,}/g, 'vg*_[secret]'],
  [/(:\/\/)[^/\s:@"]*:[^/\s@"]*@/g, '$1[secret]@'],
  [/(\b(?:bearer|basic)\s+)[A-Za-z0-9+/_.=-]{8,}/gi, '$1[secret]'],
  [/("?(?:password|passwd|secret|token|authorization|apikey|api_key)"?\s*[:=]\s*"?)[^",\s}]{3,}/gi, '$1[secret]'],
  [/([?&](?:token|key|password|auth)=)[^&\s"]+/gi, '$1[secret]'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)/gs, '[secret key]'],
];

export function withoutSecrets(line: string): string {
  return SECRETS.reduce((text, [pattern, instead]) => text.replace(pattern, instead), line);
}

/** The newest lines of the log, for whoever asks the board for them. */
export class LogRing {
  private readonly lines: string[] = [];
  private next = 0;

  /** One line, as the logger writes it. */
  write(line: string): void {
    this.lines[this.next] = line.slice(0, MAX_LINE).trimEnd();
    this.next = (this.next + 1) % LINES;
  }

  /** The newest `count` lines without secrets, oldest first; fewer when they would be more than 100 KiB. */
  read(count: number): string[] {
    const ordered = [...this.lines.slice(this.next), ...this.lines.slice(0, this.next)];
    const taken: string[] = [];
    let bytes = 0;
    for (const line of ordered.slice(-count).reverse()) {
      const clean = withoutSecrets(line);
      // Quotes of a line count twice once it stands in JSON.
      bytes += Buffer.byteLength(JSON.stringify(clean)) + 1;
      if (bytes > MAX_BYTES) break;
      taken.unshift(clean);
    }
    return taken;
  }
}

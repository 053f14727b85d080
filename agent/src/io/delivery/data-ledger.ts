import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { Counter } from '@vigie/protocol';
import { writeFileAtomic } from '../atomic-file.js';
import type { FileSystem } from '../file-system.js';

const Ledger = Type.Object({
  schema: Type.Literal(1),
  /** Calendar month (UTC) that `monthBytes` belongs to. */
  month: Type.String({ pattern: '^\\d{4,6}-\\d{2}$' }),
  monthBytes: Counter,
  generation: Counter,
  /** Bytes that the downloads of this generation took. */
  generationBytes: Counter,
});
type Ledger = Static<typeof Ledger>;

/** So much is noted as used in advance, bytes: one write for many chunks, and a power cut never makes the account too small. */
const ADVANCE_BYTES = 1024 * 1024;

/**
 * What downloads took from the line, by calendar month and for the present generation: `<data>/delivery.json`. What stands in the
 * file is never less than what was used; after a crash it may be up to 1 MiB more.
 */
export class DataLedger {
  private ledger: Ledger = { schema: 1, month: '1970-01', monthBytes: 0, generation: 0, generationBytes: 0 };
  /** Bytes that the file counts as used beyond those in `ledger`. */
  private advance = 0;
  private loaded = false;
  private readonly path: string;

  constructor(
    dataDirectory: string,
    private readonly disk: FileSystem,
  ) {
    this.path = join(dataDirectory, 'delivery.json');
  }

  /** Begins, or goes on with, the account of a month and a generation. A damaged file is an empty one. */
  async open(month: string, generation: number): Promise<void> {
    if (!this.loaded) {
      const value = parse(await this.disk.readFile(this.path).then(String, () => ''));
      if (value !== null) this.ledger = value;
      this.loaded = true;
    }
    const { ledger } = this;
    // A clock that went back must not give a month's budget again: the bytes stay, under the earlier month.
    if (month > ledger.month) ledger.monthBytes = 0;
    ledger.month = month;
    if (generation !== ledger.generation) ledger.generationBytes = 0;
    ledger.generation = generation;
  }

  get monthBytes(): number {
    return this.ledger.monthBytes;
  }

  get generationBytes(): number {
    return this.ledger.generationBytes;
  }

  /** The generation whose bytes are counted; 0 before the first. */
  get generation(): number {
    return this.ledger.generation;
  }

  /** Makes sure that the file counts these bytes as used before they are fetched. */
  async reserve(bytes: number): Promise<void> {
    if (this.advance >= bytes) return;
    this.advance = bytes + ADVANCE_BYTES;
    await this.write();
  }

  /** Bytes that came. */
  add(bytes: number): void {
    this.ledger.monthBytes += bytes;
    this.ledger.generationBytes += bytes;
    this.advance = Math.max(0, this.advance - bytes);
  }

  /** Nothing more comes for now: what was noted in advance and not used is given back. */
  async settle(): Promise<void> {
    this.advance = 0;
    await this.write();
  }

  private async write(): Promise<void> {
    const { ledger, advance } = this;
    const noted: Ledger = {
      ...ledger,
      monthBytes: ledger.monthBytes + advance,
      generationBytes: ledger.generationBytes + advance,
    };
    await writeFileAtomic(this.path, `${JSON.stringify(noted)}\n`, 0o644, this.disk);
  }
}

function parse(text: string): Ledger | null {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(Ledger, value) ? value : null;
  } catch {
    return null;
  }
}

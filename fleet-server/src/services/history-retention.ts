import type { CommandRepository } from '../io/database/command-repository.js';
import type { PictureRepository } from '../io/database/picture-repository.js';
import type { TelemetryRepository } from '../io/database/telemetry-repository.js';
import type { Now, ObjectStore } from '../ports.js';

export interface RetentionDays {
  eventDays: number;
  snapshotDays: number;
  minuteDays: number;
  hourDays: number;
  commandDays: number;
}

const DAY_MS = 86_400_000;
/** A picture that lost its row may get another one in the moment it is looked at: it stays for so long. */
const GRACE_MS = 600_000;
/** Pictures that no row ever named: what a crash between picture and row left. */
const STRAY_MS = DAY_MS;

/** Keeps histories within their age; by number they are kept where messages come in. */
export class HistoryRetention {
  #sweptAt = 0;

  constructor(
    private readonly pictures: PictureRepository,
    private readonly telemetry: TelemetryRepository,
    private readonly commands: CommandRepository,
    private readonly store: ObjectStore,
    private readonly days: RetentionDays,
    private readonly now: Now,
  ) {}

  async round(): Promise<void> {
    const now = this.now().getTime();
    const before = (days: number) => new Date(now - days * DAY_MS);
    await this.pictures.dropEvents(before(this.days.eventDays));
    await this.pictures.dropSnapshots(before(this.days.snapshotDays));
    await this.telemetry.dropBefore('minute', before(this.days.minuteDays));
    await this.telemetry.dropBefore('hour', before(this.days.hourDays));
    await this.commands.dropBefore(before(this.days.commandDays));
    await this.removePictures(new Date(now - GRACE_MS));
    if (now - this.#sweptAt < DAY_MS) return;
    this.#sweptAt = now;
    await this.sweep(new Date(now - STRAY_MS));
  }

  /** Removes pictures that lost their row before `before` and are named by no other. */
  async removePictures(before: Date): Promise<void> {
    for (;;) {
      const noted = await this.pictures.deletions(before);
      if (noted.length === 0) return;
      const orphans = await this.pictures.unnamed(noted);
      for (const sha256 of orphans) await this.store.collect(sha256, before);
      await this.pictures.forget(noted);
    }
  }

  /** Removes every picture from before `before` that no row names. */
  async sweep(before: Date): Promise<void> {
    let looked: string[] = [];
    const collect = async () => {
      for (const sha256 of await this.pictures.unnamed(looked)) await this.store.collect(sha256, before);
      looked = [];
    };
    for await (const { sha256, putAt } of this.store.list()) {
      if (putAt < before) looked.push(sha256);
      if (looked.length >= 500) await collect();
    }
    await collect();
  }
}

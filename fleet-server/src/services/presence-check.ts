import { parseTopic } from '@vigie/protocol';
import type { MessageHandler } from '../ports.js';

/** By then an external broker has sent the presence that it keeps of every board, ms. */
const SETTLED_MS = 60_000;

/**
 * Who is online after a new connection to an external broker that other replicas are connected to as well: who is online goes on
 * to be so, until it shows that the broker no longer says so. A server alone forgets at once, and is told anew.
 */
export class PresenceCheck {
  #heard: Set<string> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly markAllOffline: () => Promise<void>,
    /** Of those whose presence changed last before this time, all but these are offline. */
    private readonly markOfflineExcept: (heard: ReadonlySet<string>, before: Date) => Promise<void>,
    private readonly isAlone: () => boolean,
    private readonly now: () => Date,
    private readonly onError: (error: Error) => void,
  ) {}

  /** Listens on the way of messages to where they are stored. */
  watching(store: MessageHandler): MessageHandler {
    return (deviceId, topic, payload) => {
      if (this.#heard !== null && parseTopic(topic)?.kind === 'presence') this.#heard.add(deviceId);
      return store(deviceId, topic, payload);
    };
  }

  async onConnect(): Promise<void> {
    this.stop();
    if (this.isAlone()) return this.markAllOffline();
    const heard = new Set<string>();
    const since = this.now();
    this.#heard = heard;
    this.#timer = setTimeout(() => {
      this.#heard = null;
      this.markOfflineExcept(heard, since).catch(this.onError);
    }, SETTLED_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#heard = null;
  }
}

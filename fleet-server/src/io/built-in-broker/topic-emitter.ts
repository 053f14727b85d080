import { TopicFilter } from './topic-filter.js';

type Done = (error?: Error | null) => void;
/** A subscriber; calls back when it took the message. */
type Listener<Message> = (message: Message, done: Done) => void;

interface Wildcard<Message> {
  filter: string;
  parsed: TopicFilter;
  listener: Listener<Message>;
}

/**
 * Hands each message to those who subscribed its topic: the part of aedes that it calls `mq` (the interface of mqemitter). The
 * one that comes with it walks a tree of all subscriptions, level by level, for each message. Boards subscribe exact topics, some
 * dozen thousand in a fleet: one look into a map. Wildcards belong to a few operators and to the broker itself.
 */
export class TopicEmitter<Message extends { topic: string }> {
  readonly #exact = new Map<string, Listener<Message>[]>();
  #wildcards: readonly Wildcard<Message>[] = [];
  #closed = false;

  on(filter: string, listener: Listener<Message>, done?: () => void): this {
    if (TopicFilter.isExact(filter)) {
      // Lists are replaced, never changed: one may just be walked through.
      this.#exact.set(filter, [...(this.#exact.get(filter) ?? []), listener]);
    } else {
      this.#wildcards = [...this.#wildcards, { filter, parsed: new TopicFilter(filter), listener }];
    }
    if (done !== undefined) setImmediate(done);
    return this;
  }

  removeListener(filter: string, listener: Listener<Message>, done?: () => void): void {
    if (TopicFilter.isExact(filter)) {
      const left = (this.#exact.get(filter) ?? []).filter((other) => other !== listener);
      if (left.length === 0) this.#exact.delete(filter);
      else this.#exact.set(filter, left);
    } else {
      this.#wildcards = this.#wildcards.filter((other) => other.filter !== filter || other.listener !== listener);
    }
    if (done !== undefined) setImmediate(done);
  }

  /** Calls back when every subscriber took it, at once when there is none. */
  emit(message: Message, done: Done = () => undefined): void {
    const listeners = this.#listenersOf(message.topic);
    if (this.#closed || listeners.length === 0) {
      done(this.#closed ? new Error('the broker is closed') : null);
      return;
    }
    let left = listeners.length;
    let failed: Error | null = null;
    const taken: Done = (error) => {
      failed ??= error ?? null;
      left -= 1;
      if (left === 0) done(failed);
    };
    for (const listener of listeners) listener(message, taken);
  }

  close(done: () => void): void {
    this.#closed = true;
    setImmediate(done);
  }

  #listenersOf(topic: string): readonly Listener<Message>[] {
    const exact = this.#exact.get(topic) ?? [];
    const wild = this.#wildcards.filter(({ parsed }) => parsed.matches(topic));
    return wild.length === 0 ? exact : [...exact, ...wild.map(({ listener }) => listener)];
  }
}

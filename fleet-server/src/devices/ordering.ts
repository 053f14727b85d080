import { isNewer, type MessageOrder, type Presence } from '@vigie/protocol';

/** Superseded boots that are remembered per device. Boot ids are random, so an old one coming back is a late message. */
const PAST_BOOTS = 32;

/** What the server knows of a device's starts. */
export interface BootHistory {
  /** Boot that said it was born last; null before the first birth. */
  bootId: string | null;
  /** Superseded boots, newest last. */
  pastBoots: readonly string[];
  online: boolean;
}

/**
 * Applies a birth or a last will. A birth of a new boot supersedes the one before; a will counts only for the boot that is
 * current: the late will of an old boot cannot mark a reconnected board offline. Returns null when nothing changes.
 */
export function applyPresence(history: BootHistory, presence: Presence): BootHistory | null {
  if (history.bootId === presence.bootId) {
    return history.online === presence.online ? null : { ...history, online: presence.online };
  }
  if (!presence.online || history.pastBoots.includes(presence.bootId)) return null;
  const pastBoots =
    history.bootId === null ? history.pastBoots : [...history.pastBoots, history.bootId].slice(-PAST_BOOTS);
  return { bootId: presence.bootId, pastBoots, online: true };
}

/**
 * Does a report replace the stored one? Only a birth names the current boot: a report of an earlier boot that waited in the
 * board's outbox never overwrites one of the current boot.
 */
export function acceptsReport(history: BootHistory, stored: MessageOrder | null, next: MessageOrder): boolean {
  if (stored !== null && stored.bootId === history.bootId && next.bootId !== history.bootId) return false;
  return isNewer(stored, next, new Set(history.pastBoots));
}

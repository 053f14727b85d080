/** What orders messages of one device: a later boot is known only by arrival, so within a boot the sequence decides. */
export interface MessageOrder {
  bootId: string;
  sequence: number;
}

/**
 * Is `next` newer than what is stored? Within one boot the higher sequence wins and a duplicate is nothing;
 * a different boot id is a restart and always wins, unless that boot was already superseded (`pastBoots`).
 */
export function isNewer(
  stored: MessageOrder | null,
  next: MessageOrder,
  pastBoots: ReadonlySet<string> = new Set(),
): boolean {
  if (stored === null) return true;
  if (stored.bootId === next.bootId) return next.sequence > stored.sequence;
  return !pastBoots.has(next.bootId);
}

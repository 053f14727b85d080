import type { ApiClient } from './api-client.js';

/** All pages of a list, up to `most` rows. */
export async function allPages<T>(client: ApiClient, path: string, query: URLSearchParams, most: number): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = ''; cursor !== null && items.length < most; ) {
    // A parameter may stand there more than once.
    const asked = new URLSearchParams(query);
    if (cursor !== '') asked.set('cursor', cursor);
    const page: { items: T[]; next: string | null } = await client.get(`${path}?${asked}`);
    items.push(...page.items);
    cursor = page.next;
  }
  return items.slice(0, most);
}

/** `2026-11-21 14:03` of an ISO instant; `-` without one. */
export function minute(at: string | null): string {
  return at === null ? '-' : at.slice(0, 16).replace('T', ' ');
}

export const ROLE_HELP = 'viewer, operator, publisher, ci or admin';

import { UsageError } from './api-error.js';

/** `name@version`, or `-` for none. */
export function releaseLabel(release: { name: string; version: string } | null | undefined): string {
  return release ? `${release.name}@${release.version}` : '-';
}

/** Takes `name@version` apart. Throws UsageError. */
export function parseReleaseName(text: string): { name: string; version: string } {
  const at = text.indexOf('@');
  if (at <= 0 || at === text.length - 1)
    throw new UsageError(
      'RELEASE_INVALID',
      `${text}: is no release; write name@version, such as person-detector@1.0.0`,
    );
  return { name: text.slice(0, at), version: text.slice(at + 1) };
}

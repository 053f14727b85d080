import { Type } from '@sinclair/typebox';

/** `rollout.ended`, `rollout.*` or `*`. */
export const KindPattern = Type.String({
  pattern: '^(\\*|[a-z]+\\.(\\*|[a-z-]+))$',
  maxLength: 64,
  description: 'a kind of the activity log such as `rollout.ended`, a group such as `rollout.*`, or `*`',
});

/** Is this kind of activity among what was subscribed to? */
export function subscribes(patterns: readonly string[], kind: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === '*' || pattern === kind || (pattern.endsWith('.*') && kind.startsWith(pattern.slice(0, -1))),
  );
}

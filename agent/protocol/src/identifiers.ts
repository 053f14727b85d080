import { type Static, Type } from '@sinclair/typebox';

/**
 * A device id is one MQTT topic level on every broker we support, so it is bound to `A-Z a-z 0-9 _ -`
 * (dots and blanks break NATS and others). 1 to 64 characters, starting with a letter or digit.
 */
export const DeviceId = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$', title: 'device id' });
export type DeviceId = Static<typeof DeviceId>;

/** A SHA-256 digest, 64 lower-case hex digits. */
export const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', title: 'SHA-256, hex' });

/** A model's name: the same for its FP32 and INT8 releases. One path segment of a TUF target. */
export const ModelName = Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,63}$', title: 'model name' });

/** Semantic version 2.0.0 (semver.org), at most 64 characters. */
export const SemanticVersion = Type.String({
  pattern:
    '^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?(\\+[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?$',
  maxLength: 64,
  title: 'semantic version',
});

/** A moment as RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T07:00:00.000Z`. */
export const Instant = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
  title: 'RFC 3339 UTC',
});

/** A random name of one start of the agent process; orders messages together with `sequence`. */
export const BootId = Type.String({ pattern: '^[0-9a-f-]{8,36}$', title: 'boot id' });

/** A counter that only grows (per boot: sequence; per device: generation). */
export const Counter = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A box as [x1, y1, x2, y2], each 0..1 of the frame's width and height, origin top left. */
export const NormalisedBox = Type.Array(Type.Number({ minimum: 0, maximum: 1 }), {
  minItems: 4,
  maxItems: 4,
  title: '[x1, y1, x2, y2]',
});

/** What a model release is called everywhere a short reference is enough. */
export const ReleaseReference = Type.Object({
  name: ModelName,
  version: SemanticVersion,
  /** Package digest: SHA-256 of the canonical list of (path, size, SHA-256). */
  digest: Sha256,
});
export type ReleaseReference = Static<typeof ReleaseReference>;

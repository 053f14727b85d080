import { Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;
const Whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });
const Share = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0.001, maximum: 100, description });
const Schedule = (value: string, description: string) =>
  Type.String({
    default: value,
    pattern: '^([-0-9A-Za-z*/,#]+( [-0-9A-Za-z*/,#]+){4})?$',
    maxLength: 100,
    description,
  });

export const EnrollmentConfig = Type.Object(
  {
    approval: Type.Boolean({
      default: false,
      description: 'every enrolled board waits for an operator before it is told anything',
    }),
  },
  { ...Strict, default: {} },
);

export const PresenceConfig = Type.Object(
  {
    offlineSeconds: Whole(
      15,
      0,
      3600,
      'a board counts as offline in the activity log after so long without its line, s',
    ),
  },
  { ...Strict, default: {} },
);

/** Histories are bounded by number (per device) and by age. */
export const RetentionConfig = Type.Object(
  {
    reports: Whole(200, 1, 100_000, 'reports kept per device'),
    telemetry: Whole(2000, 1, 1_000_000, 'telemetry messages kept per device'),
    events: Whole(10_000, 1, 10_000_000, 'event messages kept per device'),
    replies: Whole(200, 1, 100_000, 'replies kept per device'),
    snapshots: Whole(500, 1, 1_000_000, 'event pictures kept per device'),
    eventDays: Whole(90, 1, 3650, 'event messages are kept for so long, days'),
    snapshotDays: Whole(30, 1, 3650, 'event pictures are kept for so long, days'),
    minuteDays: Whole(30, 1, 3650, 'telemetry by the minute is kept for so long, days'),
    hourDays: Whole(365, 1, 3650, 'telemetry by the hour is kept for so long, days'),
    decisionDays: Whole(365, 1, 3650, 'what a rollout decided is kept for so long after its end, days'),
    commandDays: Whole(30, 1, 3650, 'commands and their answers are kept for so long, days'),
  },
  { ...Strict, default: {} },
);

/** Thresholds of the population stability index: see devices/drift.ts. */
export const DriftConfig = Type.Object(
  {
    schedule: Schedule(
      '17 * * * *',
      'when boards are compared with their baseline, as node-cron reads it (UTC); empty: never',
    ),
    baselineHours: Whole(24, 1, 720, 'the baseline of a release is what it saw in its first hours on a board, h'),
    windowHours: Whole(24, 1, 720, 'what is compared with it: the last hours, h'),
    minDetections: Whole(500, 10, 1_000_000_000, 'fewer detections on either side say nothing'),
    scorePsi: Share(0.25, 'score histograms further apart than this have drifted'),
    areaPsi: Share(0.25, 'box-size histograms further apart than this have drifted'),
    retrainSchedule: Schedule(
      '',
      'when a retraining is asked for in any case, as node-cron reads it (UTC); empty: never',
    ),
  },
  { ...Strict, default: {} },
);

import type { ActivityRow } from '../io/database/activity-repository.js';

export interface MlflowNotes {
  metrics: { key: string; value: number }[];
  tags: Record<string, string>;
  /** To be set on the model version. */
  alias: string | null;
}

/** What MLflow allows in the names of metrics and tags. */
const name = (text: string) => text.replace(/[^A-Za-z0-9_./ -]/g, '_').slice(0, 250);
const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));

/** How an entry of the activity log looks in MLflow: figures become metrics, decisions become tags under `vigie.`. */
export function mlflowNotes({ kind, subject, actor, at, body }: ActivityRow): MlflowNotes {
  const when = at.toISOString();
  const notes = (tags: Record<string, string>, more: Partial<MlflowNotes> = {}): MlflowNotes => ({
    ...{ metrics: [], alias: null, ...more },
    tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [name(key), value])),
  });
  switch (kind) {
    case 'benchmark.posted': {
      const { arch = 'unknown', hardwareClass } = (body.platform ?? {}) as { arch?: string; hardwareClass?: string };
      const where = name(hardwareClass ?? arch);
      const metrics = Object.entries((body.metrics ?? {}) as Record<string, unknown>).flatMap(([key, value]) =>
        typeof value === 'number' && Number.isFinite(value)
          ? [{ key: name(`vigie/${where}/${text(body.benchmark)}/${key}`), value }]
          : [],
      );
      return notes({ [`vigie.benchmark.${where}`]: `${text(body.benchmark)} by ${actor} at ${when}` }, { metrics });
    }
    case 'gate.judged': {
      const verdict = text(body.verdict);
      const key = `vigie.gate.${text(body.policy)}`;
      const why = body.why === undefined ? '' : `: ${text(body.why)}`;
      return notes(
        { [key]: `${verdict} at ${when}${why}` },
        { metrics: [{ key: name(`vigie/gate/${text(body.policy)}/passed`), value: verdict === 'pass' ? 1 : 0 }] },
      );
    }
    case 'gate.overridden':
      return notes({ 'vigie.gate.override': `${text(body.state)} by ${actor} at ${when}: ${text(body.reason)}` });
    case 'release.certified':
      return notes({ [`vigie.certified.${text(body.hardwareClass)}`]: `${text(body.policy)} at ${when}` });
    case 'release.changed':
      return notes(typeof body.to === 'string' ? { 'vigie.state': body.to } : {});
    case 'release.withdrawn':
      return notes({ 'vigie.state': 'withdrawn', 'vigie.withdrawn': `by ${actor} at ${when}: ${text(body.reason)}` });
    case 'release.promoted': {
      const alias = text(body.alias);
      return notes({ [`vigie.${alias}`]: `by ${actor} at ${when}: ${text(body.reason)}` }, { alias });
    }
    case 'rollout.created':
    case 'rollout.changed':
    case 'rollout.ended': {
      const why = body.text ?? body.reason;
      const said = `${text(body.state ?? body.to)} at ${when}${why == null || why === '' ? '' : `: ${text(why)}`}`;
      return notes({ [`vigie.rollout.${subject}`]: said });
    }
    default:
      return notes({});
  }
}

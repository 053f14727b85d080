/** The release that every seeded board runs, and the number of its row. */
export interface SeededRelease {
  name: string;
  version: string;
  digest: string;
}

export interface SeedSize {
  devices: number;
  /** Event messages in all, over the last 24 hours. */
  events: number;
  /** Telemetry messages kept of each board, ten seconds apart. */
  telemetry: number;
  /** Minutes of telemetry by the minute of each board. */
  minutes: number;
  /** Hours of telemetry by the hour of each board. */
  hours: number;
}

/** Of the board with this number: `q000042`. */
export const deviceId = (number: number): string => `q${String(number).padStart(6, '0')}`;
/** Boot of every seeded board: it comes back with the same one. */
export const bootId = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
/** Newest sequence that a seeded board has used. */
export const SEEDED_SEQUENCE = 1_000_000;

const ID = `'q' || lpad(n::text, 6, '0')`;
const BOOT = `'00000000-0000-4000-8000-' || lpad(n::text, 12, '0')`;
const ISO = (at: string) => `to_char((${at}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const BINS = `array[1,2,4,7,12,21,30,23,9,2]::bigint[]`;

/** What is to be done, in words and in SQL, in this order. */
export function seedStatements(
  { name, version, digest }: SeededRelease,
  size: SeedSize,
): (readonly [string, string])[] {
  const reference = `jsonb_build_object('name', '${name}', 'version', '${version}', 'digest', '${digest}')`;
  const series = `generate_series(0, ${size.devices - 1}) as n`;
  const rollup = (table: string, unit: string, count: number) => `
    insert into ${table} (device_id, at, model, messages, seconds, frames, fps_min, latency_frames, p50_sum, p95_sum, p99_sum,
      inference_p95_sum, p95_max, drops, cpu_sum, cpu_max, memory_max, temperature_sum, temperature_count, temperature_max,
      throttled, disk_free_min, restarts_max, scores, areas)
    select ${ID}, date_trunc('${unit}', now()) - u * interval '1 ${unit}', '${digest}', 6, 60, 480, 7.9, 480, 480 * 100, 480 * 118,
      480 * 135, 480 * 90, 120, 420, 3.6, 0.7, 190000000, 330, 6, 58, 0, 4000000000, 0, ${BINS}, ${BINS}
    from ${series}, generate_series(1, ${count}) as u on conflict do nothing`;
  return [
    [
      `${size.devices} boards`,
      `insert into devices (id, hardware_class, agent_version, enrolled_at, name, tags, time_zone, boot_id, online, presence_at,
        announced_online, generation, desired, desired_release_id, reported, reported_received_at)
      select ${ID}, (array['rpi5-8g', 'rpi4-4g', 'generic-x64', 'generic-arm64'])[1 + n % 4], '0.1.0', now() - interval '30 days',
        'yard ' || n, jsonb_build_array('floor-' || n % 40, 'site-' || n % 200),
        (array['Europe/Paris', 'Europe/Berlin', null])[1 + n % 3], ${BOOT}, true, now() - interval '1 day', true, 3,
        jsonb_build_object('deviceId', ${ID}, 'generation', 3, 'issuedAt', ${ISO("now() - interval '7 days'")}, 'release', ${reference},
          'trial', jsonb_build_object('seconds', 60), 'delivery', jsonb_build_object('jitterSeconds', 0)),
        (select id from releases where digest = '${digest}' order by id limit 1),
        jsonb_build_object('bootId', ${BOOT}, 'sequence', ${SEEDED_SEQUENCE}, 'at', ${ISO('now()')}, 'generation', 3, 'phase', 'COMMITTED',
          'active', jsonb_build_object('release', ${reference}, 'framesRun', 100000, 'since', ${ISO("now() - interval '7 days'")}),
          'candidate', null, 'error', null,
          'swap', jsonb_build_object('framesMissed', 0, 'longestGapMs', 140, 'steadyGapP99Ms', 130, 'durationMs', 9000),
          'delivery', jsonb_build_object('transport', 'mqtt', 'fetchedBytes', 12000000),
          'agentVersion', '0.1.0', 'hardwareClass', 'generic-x64'),
        now() - interval '1 hour'
      from ${series}`,
    ],
    [
      'certificates',
      `insert into device_certificates (serial, device_id, issued_at, expires_at, used_at)
      select md5(${ID}), ${ID}, now() - interval '30 days', now() + interval '335 days', now() - interval '30 days' from ${series}`,
    ],
    [
      'groups',
      `insert into device_groups (name, selector, description, priority, created_at, updated_at)
      select 'site-' || g, jsonb_build_object('tags', jsonb_build_array('site-' || g)), '', 0, now(), now() from generate_series(0, 19) as g`,
    ],
    [
      `${size.events} events`,
      `insert into events (device_id, boot_id, sequence, at, received_at, body)
      select ${ID}, ${BOOT}, e, at, at + interval '1 second', jsonb_build_object('bootId', ${BOOT}, 'sequence', e, 'id', 'e' || e,
        'type', (array['start', 'update', 'end'])[1 + e % 3], 'at', ${ISO('at')}, 'startedAt', ${ISO('at')}, 'trackId', e % 10000,
        'label', (array['person', 'person', 'person', 'car', 'dog'])[1 + e % 5], 'rule', (array['gate', 'door', 'yard'])[1 + e % 3],
        'score', 0.8, 'box', jsonb_build_array(0.1, 0.2, 0.3, 0.6),
        'frame', jsonb_build_object('sequence', e, 'width', 640, 'height', 360), 'modelDigest', '${digest}',
        'stagesMs', jsonb_build_object('inference', 70))
      from (select e, e * 7919 % ${size.devices} as n, now() - (${size.events} - e) * interval '24 hours' / ${size.events} as at
        from generate_series(1, ${size.events}) as e) as given`,
    ],
    [
      `${size.telemetry} telemetry messages of each board`,
      `insert into telemetry (device_id, boot_id, sequence, at, received_at, body)
      select ${ID}, ${BOOT}, t, at, at, jsonb_build_object('bootId', ${BOOT}, 'sequence', t, 'at', ${ISO('at')}, 'windowSeconds', 10,
        'fps', 8.1, 'latencyMs', jsonb_build_object('capture', ${latency(4)}, 'inference', ${latency(85)}, 'decode', ${latency(3)}, 'total', ${latency(100)}),
        'drops', jsonb_build_object('busy', 70), 'cpu', 0.6, 'memoryBytes', 190000000, 'diskFreeBytes', 4000000000, 'temperatureC', 55.2,
        'throttled', false, 'scoreHistogram', to_jsonb(${BINS}), 'boxAreaHistogram', to_jsonb(${BINS}), 'modelDigest', '${digest}',
        'inferenceRestarts', 0)
      from (select n, t, now() - (${size.telemetry} - t) * interval '10 seconds' as at
        from generate_series(1, ${size.telemetry}) as t, ${series}) as given`,
    ],
    [`${size.minutes} minutes of each board`, rollup('telemetry_minutes', 'minute', size.minutes)],
    [`${size.hours} hours of each board`, rollup('telemetry_hours', 'hour', size.hours)],
    [
      'hours are rolled up',
      `insert into rollup_progress (name, until) values ('hours', date_trunc('hour', now())) on conflict (name) do update set until = excluded.until`,
    ],
    [
      'an ended rollout and its boards',
      `with made as (
        insert into rollouts (spec, release_id, state, revision, progress, created_at, created_by, started_at, ended_at, updated_at)
        select jsonb_build_object('title', 'first', 'release', ${reference}, 'selector', '{}'::jsonb, 'waves', '[{"name": "all", "size": {"share": 1}}]'::jsonb,
            'follow', false, 'gates', '[]'::jsonb, 'windows', '[]'::jsonb, 'concurrency', 500),
          (select id from releases where digest = '${digest}' order by id limit 1), 'succeeded', 40,
          '{"phase": "ended", "wave": 1, "openedAt": null, "soakingSince": null, "silentSince": null, "accepted": false, "approvals": [],
            "reason": {"code": "DONE", "text": "done"}, "stopsAs": null, "turningBackSince": null, "comparingSince": null, "winner": null}'::jsonb,
          now() - interval '7 days', 'seed', now() - interval '7 days', now() - interval '7 days', now() - interval '7 days'
        returning id)
      insert into rollout_devices (rollout_id, device_id, wave, position, cohort, state, out, told, generation, attempt, offered_at,
        reached_at, ended_at, seen)
      select made.id, ${ID}, 0, n, 'A', 'succeeded', false, '${digest}', 3, 1, now() - interval '7 days', now() - interval '7 days',
        now() - interval '7 days' + interval '90 seconds', ${BOOT} || '/' || ${BOOT} || '/${SEEDED_SEQUENCE}/3'
      from made, ${series}`,
    ],
    [
      'the activity log',
      `insert into activity (at, kind, subject, actor, body)
      select now() - (50000 - a) * interval '2 seconds', 'device.reported', 'q' || lpad((a % ${size.devices})::text, 6, '0'), 'seed',
        '{"generation": 3, "phase": "COMMITTED"}'::jsonb from generate_series(1, 50000) as a`,
    ],
    ['statistics', 'analyze'],
  ];
}

function latency(p50: number): string {
  return `jsonb_build_object('p50', ${p50}, 'p95', ${p50 * 1.18}, 'p99', ${p50 * 1.35})`;
}

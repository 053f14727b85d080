import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AuditEntry, type AuditOutcome, storable, storableDocument } from '../services/audit-entry.js';
import { doing } from '../services/deed.js';
import { isGuarded } from './api-gate.js';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];
/** Refusals that changed nothing and that a stranger can have as many of as he likes. */
const UNHEARD = [400, 404, 405, 413, 415, 429];

/** What a handler adds to the line of the audit log that its request gets, before it changes anything. */
export interface AuditNote {
  /** What the request was about, where its path does not say it. */
  subject?: string;
  /** Never a secret: the log keeps it for ever. */
  details?: Record<string, unknown>;
  /** The line is written, or a service does that itself. */
  written?: boolean;
  /** A transaction that has not ended yet has the line with it. */
  riding?: boolean;
  /** Number of the line that went with the change. */
  row?: number;
  /** The answer is on its way. */
  answered?: boolean;
}

/** The line for a request, with what is known before its answer; what a service writes itself begins with it. */
export function auditEntryOf(request: FastifyRequest, now: Date, rest: Partial<AuditEntry> = {}): AuditEntry {
  const { actor, credential, device, ip, method, routeOptions } = request;
  const entry: AuditEntry = {
    at: now.toISOString(),
    actor: actor?.name ?? (device === null ? 'anonymous' : `device:${device}`),
    role: actor?.role ?? (device === null ? null : 'device'),
    credential: credential?.id ?? null,
    address: ip === undefined ? null : storable(ip, 64),
    action: `${method} ${routeOptions.url ?? request.url}`,
    subject: subjectOf(request),
    outcome: 'done',
    status: 200,
    details: request.audit.details ?? {},
    ...rest,
  };
  return {
    ...entry,
    action: storable(entry.action, 300),
    subject: storable(entry.subject, 300),
    details: storableDocument(entry.details) as Record<string, unknown>,
  };
}

/**
 * Notes every request that may change something. The line of a request that changes the database is written in the transaction
 * of its first change (AuditedDatabase): there is both, or neither. Of the others (refused, or about something else than the
 * database) it is written before the answer leaves, and where it cannot be written the answer is 500. Requests of strangers that
 * were refused at the door are not noted.
 */
export function installAudit(
  app: FastifyInstance,
  append: (entry: AuditEntry) => Promise<void>,
  now: () => Date,
): void {
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/api/') || [route.method].flat().every((method) => SAFE.includes(method))) return;
    const { handler } = route;
    const status = statusOfSuccess(route.schema?.response);
    route.handler = function (request, reply) {
      const entry = () => auditEntryOf(request, now(), { status });
      return doing({ entry, note: request.audit }, () => handler.call(this, request, reply));
    };
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { audit: note } = request;
    if (SAFE.includes(request.method) || !isGuarded(request) || note.answered === true) return payload;
    const { written, row } = note;
    // A failed write comes back here with its own answer; and what is changed from now on is no part of the answer.
    note.answered = true;
    note.written = true;
    const { statusCode: status } = reply;
    // Something was done before the request was refused or failed: that has its line, and the end gets one of its own.
    if (written === true && (row === undefined || status < 400)) return payload;
    const known = request.actor !== null || request.device !== null;
    if (status === 429 || (!known && (status === 401 || UNHEARD.includes(status)))) return payload;
    const details = { ...note.details, ...(row === undefined ? {} : { changedInRow: row }) };
    await append(auditEntryOf(request, now(), { outcome: outcomeOf(status), status, details }));
    return payload;
  });
}

/** The one status that says "done" in a route's schemas; null where there are several or none. */
function statusOfSuccess(response: unknown): number | null {
  const done = Object.keys(response ?? {}).filter((status) => /^2\d\d$/.test(status));
  return done.length === 1 ? Number(done[0]) : null;
}

function outcomeOf(status: number): AuditOutcome {
  return status < 400 ? 'done' : status < 500 ? 'refused' : 'failed';
}

function subjectOf({ audit, params, body }: FastifyRequest): string {
  if (audit.subject !== undefined) return audit.subject;
  const named = label(params);
  return named === '' && typeof body === 'object' ? label(body, ['id', 'deviceId', 'name', 'version']) : named;
}

/** `name@version`, or the values one behind the other. */
function label(given: unknown, only?: readonly string[]): string {
  const values = Object.entries(given ?? {}).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string' && (only?.includes(pair[0]) ?? true),
  );
  const { name, version, ...rest } = Object.fromEntries(values);
  const release = version === undefined ? name : `${name}@${version}`;
  return [release, ...Object.values(rest)].filter((part) => part !== undefined).join('/');
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AuditEntry, type AuditOutcome, storable, storableDocument } from '../services/audit-entry.js';
import { isGuarded } from './api-gate.js';

const SAFE = ['GET', 'HEAD', 'OPTIONS'];
/** Refusals that changed nothing and that a stranger can have as many of as he likes. */
const UNHEARD = [400, 404, 405, 413, 415, 429];

/** What a handler adds to the line of the audit log that its request gets. */
export interface AuditNote {
  /** What the request was about, where its path does not say it. */
  subject?: string;
  /** Never a secret: the log keeps it for ever. */
  details?: Record<string, unknown>;
  /** The service wrote the line itself, in the transaction of the change. */
  written?: boolean;
}

/** The line for a request, with what is known before its answer; what a service writes itself begins with it. */
export function auditEntryOf(request: FastifyRequest, now: Date, rest: Partial<AuditEntry> = {}): AuditEntry {
  const { actor, credential, device, ip, method, routeOptions } = request;
  const entry: AuditEntry = {
    at: now.toISOString(),
    actor: actor?.name ?? (device === null ? 'anonymous' : `device:${device}`),
    role: actor?.role ?? (device === null ? null : 'device'),
    credential: credential?.id ?? null,
    address: ip,
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
 * Notes every request that may change something, before its answer leaves: who was told that it is done finds it in the log.
 * Where the line cannot be written the answer is 500. Requests of strangers that were refused at the door are not noted.
 */
export function installAudit(
  app: FastifyInstance,
  append: (entry: AuditEntry) => Promise<void>,
  now: () => Date,
): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (SAFE.includes(request.method) || !isGuarded(request) || request.audit.written === true) return payload;
    const { statusCode: status } = reply;
    const known = request.actor !== null || request.device !== null;
    if (status === 429 || (!known && (status === 401 || UNHEARD.includes(status)))) return payload;
    // A failed write comes back here with its own answer.
    request.audit.written = true;
    await append(auditEntryOf(request, now(), { outcome: outcomeOf(status), status }));
    return payload;
  });
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

import type { FastifyInstance } from 'fastify';
import { AuditRepository } from '../io/database/audit-repository.js';
import { IdempotencyRepository } from '../io/database/idempotency-repository.js';
import { SessionRepository } from '../io/database/session-repository.js';
import { UserRepository } from '../io/database/user-repository.js';
import type { Credential } from '../roles.js';
import { sessionRoutes } from '../routes/access-session-routes.js';
import { apiTokenRoutes } from '../routes/access-token-routes.js';
import { userRoutes } from '../routes/access-user-routes.js';
import { type ApiGate, installGate } from '../routes/api-gate.js';
import { installAudit } from '../routes/audit-hook.js';
import { auditRoutes } from '../routes/audit-routes.js';
import { installIdempotency } from '../routes/idempotency.js';
import { OpenStreams, streamRoutes } from '../routes/stream-routes.js';
import { ActivityTail } from '../services/activity-tail.js';
import { ApiTokenService } from '../services/api-tokens.js';
import { AuditLog } from '../services/audit-log.js';
import { Passwords } from '../services/passwords.js';
import { RateLimit } from '../services/rate-limit.js';
import { RememberedCredentials } from '../services/remembered-credentials.js';
import { SessionService } from '../services/sessions.js';
import { UserService } from '../services/users.js';
import type { Core, Feature } from './feature-wiring.js';

const MINUTE_MS = 60_000;
/** What happened is kept for so long; its readers are never that far behind. */
const ACTIVITY_DAYS = 90;
/** Between two signs of life of a stream. */
const HEARTBEAT_MS = 15_000;
/** Between two looks whether what operators have open still may be: for what another replica changed, and what expires. */
const CHECK_MS = 5000;

export interface AccessFeature extends Feature {
  /** For every listener: lets operators in, notes what they do, answers repeated requests as before. */
  protect(app: FastifyInstance, tls: boolean): void;
}

/** Users, sessions, tokens and the audit log. */
export function wireAccess({
  config,
  database,
  tokens,
  activity,
  access: { connections },
  log,
  now,
}: Core): AccessFeature {
  const { access, http, https } = config;
  const audit = new AuditRepository(database);
  const sessions = new SessionRepository(database);
  const users = new UserRepository(database);
  const keys = new IdempotencyRepository(database);
  const passwords = new Passwords({ N: 2 ** access.scryptLogN, r: 8, p: 3 });
  const rules = {
    idleMs: access.sessionIdleMinutes * MINUTE_MS,
    absoluteMs: access.sessionHours * 60 * MINUTE_MS,
    loginFailures: access.loginFailures,
    lockMs: access.lockoutMinutes * MINUTE_MS,
  };
  const clock = () => performance.now();
  const tokensSeen = new RememberedCredentials((secret) => sessionService.byToken(secret), now, clock);
  const ended = () => {
    tokensSeen.forget();
    void connections.check();
  };
  const parts = { database, sessions, tokens, users, audit, passwords, ended };
  const sessionService = new SessionService(parts, rules, now);
  const userService = new UserService(database, users, passwords, now, ended);
  const tokenService = new ApiTokenService(database, tokens, now, ended);
  const gate: ApiGate = {
    // Another replica ends tokens without a word to this one.
    byToken: (secret) => (database.engine === 'pglite' ? tokensSeen.get(secret) : sessionService.byToken(secret)),
    bySession: (secret) => sessionService.bySession(secret),
    limits: {
      credential: new RateLimit(access.requestsPerSecond, access.requestBurst, clock),
      anonymous: new RateLimit(access.anonymousPerSecond, access.anonymousBurst, clock),
      refused: new RateLimit(1, access.refusedBurst, clock),
    },
    publicUrls: [http.publicUrl, https.publicUrl].filter((url) => url !== undefined),
  };
  const tail = new ActivityTail((after, limit) => activity.after(after, limit), log);
  const open = new OpenStreams();
  const counts = (credential: Credential) => sessionService.counts(credential);
  const watch = setInterval(ended, CHECK_MS);
  watch.unref();
  return {
    close: async () => {
      clearInterval(watch);
      await tail.close();
    },
    health: () => ({ streams: open.size }),
    protect(app, tls) {
      installGate(app, gate, tls);
      installAudit(app, (entry) => audit.append(entry), now);
      installIdempotency(app, keys, now);
    },
    routes(app, { tls }) {
      const maxAgeSeconds = access.sessionHours * 3600;
      const { publicUrls } = gate;
      sessionRoutes(app, { sessions: sessionService, users: userService, publicUrls, tls, maxAgeSeconds, now });
      userRoutes(app, userService);
      apiTokenRoutes(app, tokenService);
      auditRoutes(app, new AuditLog(audit));
      const most = access.streams;
      streamRoutes(app, { activity, tail, counts, connections, open, most, heartbeatMs: HEARTBEAT_MS });
    },
    duties: [
      {
        name: 'access-upkeep',
        everyMs: 10 * MINUTE_MS,
        async run() {
          await sessionService.dropEnded();
          await tokenService.dropDead();
          await keys.dropExpired(now());
          await activity.dropBefore(new Date(now().getTime() - ACTIVITY_DAYS * 24 * 60 * MINUTE_MS));
        },
      },
    ],
  };
}

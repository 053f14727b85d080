import type { ServerResponse } from 'node:http';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ActivityRepository, ActivityRow } from '../io/database/activity-repository.js';
import type { Credential } from '../roles.js';
import { ACTIVITY_KINDS, type ActivityKind } from '../services/activity-kinds.js';
import { type ActivityTail, kindsOf } from '../services/activity-tail.js';
import type { OpenConnections } from '../services/open-connections.js';
import { EventStream } from './event-stream.js';
import { Paging, pageOf, pageParameters } from './paging.js';
import { Problem, sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const Filter = {
  kinds: Type.Optional(
    Type.String({
      pattern: '^[a-z]+\\.([a-z-]+|\\*)(,[a-z]+\\.([a-z-]+|\\*))*$',
      maxLength: 500,
      description: 'such as rollout.*,device.online; all when absent',
    }),
  ),
  subject: Type.Optional(
    Type.String({ minLength: 1, maxLength: 300, description: 'a device, name@version or rollout; all when absent' }),
  ),
};
const EntryId = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const StreamQuery = Type.Object(
  { ...Filter, after: Type.Optional({ ...EntryId, description: 'as the header Last-Event-ID, which wins over it' }) },
  Strict,
);
const ActivityQuery = Type.Object({ ...pageParameters(), ...Filter }, Strict);
const ActivityView = Type.Object({
  id: Type.Integer(),
  at: Type.String(),
  kind: Type.String(),
  subject: Type.String(),
  actor: Type.String(),
  body: Type.Record(Type.String(), Type.Unknown()),
});
const PAGING = new Paging('activity', EntryId);

/** Entries of the log that are read at once. */
const PAGE = 500;
/** Streams of one token or login. */
const MOST_PER_CREDENTIAL = 32;

export interface StreamRouteOptions {
  activity: ActivityRepository;
  tail: ActivityTail;
  /** Does a token or login still count? */
  counts: (credential: Credential) => Promise<boolean>;
  /** Where a stream is ended when its token or login is. */
  connections: OpenConnections;
  /** Open streams of this process. */
  open: OpenStreams;
  most: number;
  heartbeatMs: number;
}

/** Streams of one process, counted over all listeners. */
export class OpenStreams {
  readonly #byCredential = new Map<string, number>();
  size = 0;

  /** Null: there is no place. */
  enter(credential: string, most: number): (() => void) | null {
    const own = this.#byCredential.get(credential) ?? 0;
    if (this.size >= most || own >= MOST_PER_CREDENTIAL) return null;
    this.size += 1;
    this.#byCredential.set(credential, own + 1);
    return () => {
      this.size -= 1;
      const left = (this.#byCredential.get(credential) ?? 1) - 1;
      if (left === 0) this.#byCredential.delete(credential);
      else this.#byCredential.set(credential, left);
    };
  }
}

/** What happens, as it happens (Server-Sent Events), and what happened. */
export function streamRoutes(app: FastifyInstance, options: StreamRouteOptions): void {
  const { activity, most, open } = options;
  const tags = ['activity'];

  app.get<{ Querystring: Static<typeof ActivityQuery> }>(
    '/activity',
    {
      schema: {
        summary: 'What happened, newest first',
        tags,
        querystring: ActivityQuery,
        response: { 200: pageOf(ActivityView) },
      },
    },
    async ({ query }) => {
      const { subject } = query;
      const asked = PAGING.read(query);
      const rows = await activity.newest({ kinds: wantedKinds(query.kinds), subject }, asked.after, asked.limit + 1);
      return PAGING.page(rows, asked, ({ id }) => id);
    },
  );

  app.get<{ Querystring: Static<typeof StreamQuery> }>(
    '/stream',
    {
      exposeHeadRoute: false,
      schema: {
        summary: 'Server-Sent Events of what happens; Last-Event-ID goes on behind the last one seen',
        tags,
        querystring: StreamQuery,
        produces: 'text/event-stream',
      },
    },
    async (request, reply) => {
      const { query, headers } = request;
      const kinds = wantedKinds(query.kinds);
      const header = headers['last-event-id'];
      if (header !== undefined && !/^\d{1,15}$/.test(String(header)))
        return sendProblem(reply, 'REQUEST_INVALID', 'Last-Event-ID: is no id of this stream; leave it out');
      const after = header === undefined ? (query.after ?? null) : Number(header);
      const credential = request.credential as Credential;
      const leave = open.enter(credential.id, most);
      if (leave === null)
        return sendProblem(reply, 'SERVER_BUSY', 'too many streams are open; close some, or come back');
      reply.raw.once('close', leave);
      const { oldest, newest } = await activity.range();
      const stream = new EventStream(begin(reply));
      const lost = after !== null && (after > newest || after < oldest - 1);
      if (lost) stream.send('reset', { reason: 'entries behind this id are not kept: read the state anew' }, newest);
      const start = lost || after === null ? newest : after;
      const wanted = (row: ActivityRow) =>
        (kinds === undefined || kinds.includes(row.kind)) &&
        (query.subject === undefined || row.subject === query.subject);
      await follow(stream, start, wanted, credential, options);
      return reply;
    },
  );
}

function wantedKinds(list: string | undefined): ActivityKind[] | undefined {
  if (list === undefined) return undefined;
  const kinds = kindsOf(list);
  if (kinds === null)
    throw new Problem('REQUEST_INVALID', `kinds: one of these is none; there are ${ACTIVITY_KINDS.join(', ')}`);
  return kinds;
}

function begin(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const headers = reply.getHeaders();
  reply.raw.writeHead(200, {
    ...(headers as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    // nginx holds answers back otherwise.
    'x-accel-buffering': 'no',
  });
  reply.raw.write('retry: 3000\n\n');
  return reply.raw;
}

/**
 * Sends the log behind `start`, then what happens. Who does not keep up with that is given the log again, as fast as it reads: a
 * burst that is too much for one moment costs a reader nothing, and a slow one holds back nobody.
 */
async function follow(
  stream: EventStream,
  start: number,
  wanted: (row: ActivityRow) => boolean,
  credential: Credential,
  { activity, tail, counts, connections, heartbeatMs }: StreamRouteOptions,
): Promise<void> {
  if (!stream.open) return;
  let position = start;
  const take = (row: ActivityRow) => {
    if (row.id <= position) return;
    position = row.id;
    if (wanted(row)) stream.send(row.kind, row, row.id);
  };
  const deliver = (row: ActivityRow) => {
    if (!stream.full) return take(row);
    tail.leave(deliver);
    void catchUp();
  };
  const catchUp = async () => {
    try {
      for (;;) {
        const rows = await activity.after(position, PAGE);
        for (const row of rows) {
          await stream.drained();
          if (!stream.open) return;
          take(row);
        }
        if (!stream.open || (rows.length < PAGE && tail.join(deliver, position))) return;
      }
    } catch {
      // The database failed: the reader comes back by itself.
      stream.raw.destroy();
    }
  };
  const beat = setInterval(() => stream.beat(), heartbeatMs);
  beat.unref();
  const letGo = connections.hold({
    counts: () => counts(credential),
    end() {
      stream.send('end', { code: 'UNAUTHORIZED', detail: 'the token or login ended' });
      stream.raw.end();
    },
  });
  stream.raw.once('close', () => {
    clearInterval(beat);
    letGo();
    tail.leave(deliver);
  });
  await catchUp();
}

import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { EventRepository, EventRow } from '../io/database/event-repository.js';
import { instantOf, Moment } from './moment.js';
import { Paging, pageParameters } from './paging.js';

const Strict = { additionalProperties: false } as const;
const Id = Type.Integer({ minimum: 0 });
/** In the order in which they came; and where times are asked for, in the order of the events' own times (ms since 1970). */
const PAGING = new Paging('events', Id);
const BY_TIME = new Paging('events:at', Type.Tuple([Type.Integer(), Id]));
const EventQuery = Type.Object(
  {
    ...pageParameters(),
    device: Type.Optional(DeviceId),
    label: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    type: Type.Optional(Type.Union([Type.Literal('start'), Type.Literal('update'), Type.Literal('end')])),
    rule: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    from: Type.Optional(Moment),
    to: Type.Optional(Moment),
  },
  Strict,
);

/** What boards saw. */
export function eventRoutes(app: FastifyInstance, events: EventRepository): void {
  app.get<{ Querystring: Static<typeof EventQuery> }>(
    '/events',
    { schema: { summary: 'Event messages, the newest first', querystring: EventQuery } },
    async ({ query }) => {
      const { device, label, type, rule } = query;
      const filter = { device, label, type, rule, from: instantOf(query.from), to: instantOf(query.to) };
      const view = ({ deviceId, receivedAt, body }: EventRow) => ({ deviceId, receivedAt, ...(body as object) });
      if (filter.from !== undefined || filter.to !== undefined) {
        const asked = BY_TIME.read(query);
        const after = asked.after === null ? null : { at: new Date(asked.after[0]), id: asked.after[1] };
        const rows = await events.page(filter, after, asked.limit + 1);
        return BY_TIME.page(rows, asked, ({ at, id }) => [at.getTime(), id], view);
      }
      const asked = PAGING.read(query);
      const after = asked.after === null ? null : { at: new Date(0), id: asked.after };
      const rows = await events.page(filter, after, asked.limit + 1);
      return PAGING.page(rows, asked, ({ id }) => id, view);
    },
  );
}

import { type Static, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { EventRepository } from '../io/database/event-repository.js';
import { instantOf, Moment } from './moment.js';
import { Paging, pageParameters } from './paging.js';

const Strict = { additionalProperties: false } as const;
const PAGING = new Paging('events', Type.Integer({ minimum: 0 }));
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
      const asked = PAGING.read(query);
      const { device, label, type, rule } = query;
      const filter = { device, label, type, rule, from: instantOf(query.from), to: instantOf(query.to) };
      const rows = await events.page(filter, asked.after, asked.limit + 1);
      return PAGING.page(
        rows,
        asked,
        (row) => row.id,
        ({ deviceId, receivedAt, body }) => ({ deviceId, receivedAt, ...(body as object) }),
      );
    },
  );
}

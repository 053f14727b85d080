import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { DeliveryRepository, DeliveryRow } from '../io/database/delivery-repository.js';
import type { Now } from '../ports.js';
import { ChannelInput, ChannelName } from '../services/channel.js';
import type { ChannelService } from '../services/channels.js';
import { Paging, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const PAGING = new Paging('deliveries', Type.Integer({ minimum: 1 }));

const ChannelParams = Type.Object({ name: ChannelName });
const DeliveryParams = Type.Object({ id: Type.String({ pattern: '^[1-9]\\d{0,14}$' }) });
const DeliveryQuery = Type.Object(
  {
    channel: Type.Optional(ChannelName),
    state: Type.Optional(Type.Union(['pending', 'delivered', 'failed'].map((one) => Type.Literal(one)))),
    ...pageParameters(),
  },
  Strict,
);

export interface ChannelRouteServices {
  channels: ChannelService;
  deliveries: DeliveryRepository;
  now: Now;
  random: () => string;
  /** Something is due. */
  due: () => void;
}

/** Where notices go, and how that went. A channel sends the fleet's data somewhere: making one is for administrators. */
export function channelRoutes(app: FastifyInstance, services: ChannelRouteServices): void {
  const { channels, deliveries, now, random, due } = services;

  app.get('/channels', { schema: { summary: 'All channels, without their secrets' } }, async () => ({
    items: await channels.list(),
  }));

  app.get<{ Params: Static<typeof ChannelParams> }>(
    '/channels/:name',
    { schema: { summary: 'One channel, without its secrets', params: ChannelParams } },
    async ({ params: { name } }, reply) =>
      (await channels.find(name)) ?? sendProblem(reply, 'NOT_FOUND', `there is no channel ${name}`),
  );

  app.put<{ Params: Static<typeof ChannelParams>; Body: ChannelInput }>(
    '/channels/:name',
    {
      schema: {
        summary: 'Make or replace a webhook, mail or MQTT channel; switches it on again after failures',
        params: ChannelParams,
        body: ChannelInput,
      },
      config: { role: 'admin' },
    },
    async ({ params: { name }, body }, reply) => {
      if ('url' in body && !URL.canParse(body.url))
        return sendProblem(reply, 'REQUEST_INVALID', 'url: is no URL; give one such as https://hooks.example/vigie');
      const { channel, signingKey } = await channels.put(name, body);
      due();
      return signingKey === null ? channel : { ...channel, signingKey };
    },
  );

  app.delete<{ Params: Static<typeof ChannelParams> }>(
    '/channels/:name',
    { schema: { summary: 'Remove a channel and its deliveries', params: ChannelParams }, config: { role: 'admin' } },
    async ({ params: { name } }, reply) =>
      (await channels.delete(name))
        ? reply.code(204).send()
        : sendProblem(reply, 'NOT_FOUND', `there is no channel ${name}`),
  );

  app.post<{ Params: Static<typeof ChannelParams> }>(
    '/channels/:name/test',
    { schema: { summary: 'Send a test message; the answer is its delivery', params: ChannelParams } },
    async ({ params: { name }, actor }, reply) => {
      if ((await channels.find(name)) === null) return sendProblem(reply, 'NOT_FOUND', `there is no channel ${name}`);
      const at = now();
      const row = await deliveries.add({
        ...{ channel: name, source: `test:${random()}`, kind: 'channel.test', createdAt: at },
        body: { type: 'channel.test', at: at.toISOString(), subject: name, actor: actor?.name ?? 'unknown' },
      });
      if (row === null) return sendProblem(reply, 'NOT_FOUND', `there is no channel ${name}`);
      due();
      return reply.code(202).send(viewDelivery(row));
    },
  );

  app.get<{ Querystring: Static<typeof DeliveryQuery> }>(
    '/deliveries',
    { schema: { summary: 'What went to channels and how, newest first', querystring: DeliveryQuery } },
    async ({ query }) => {
      const asked = PAGING.read(query);
      const rows = await deliveries.list(
        query as Parameters<DeliveryRepository['list']>[0],
        asked.after,
        asked.limit + 1,
      );
      return PAGING.page(rows, asked, (row) => row.id, viewDelivery);
    },
  );

  app.get<{ Params: Static<typeof DeliveryParams> }>(
    '/deliveries/:id',
    { schema: { summary: 'One delivery with its body and attempts', params: DeliveryParams } },
    async ({ params: { id } }, reply) => {
      const row = await deliveries.find(Number(id));
      if (row === null) return sendProblem(reply, 'NOT_FOUND', `there is no delivery ${id}`);
      return { ...viewDelivery(row), body: row.body };
    },
  );

  app.post<{ Params: Static<typeof DeliveryParams> }>(
    '/deliveries/:id/replay',
    { schema: { summary: 'Send the same again, as a new delivery', params: DeliveryParams } },
    async ({ params: { id } }, reply) => {
      const row = await deliveries.find(Number(id));
      if (row === null) return sendProblem(reply, 'NOT_FOUND', `there is no delivery ${id}`);
      const again = await deliveries.add({
        ...{ channel: row.channel, source: `replay:${random()}`, kind: row.kind, body: row.body },
        ...{ createdAt: now(), replayOf: row.id },
      });
      if (again === null) return sendProblem(reply, 'NOT_FOUND', `there is no delivery ${id}`);
      due();
      return reply.code(202).send(viewDelivery(again));
    },
  );
}

function viewDelivery(row: DeliveryRow) {
  return {
    ...{ id: row.id, channel: row.channel, kind: row.kind, state: row.state, attempts: row.attempts },
    ...{ createdAt: row.createdAt.toISOString(), doneAt: row.doneAt?.toISOString() ?? null },
    nextAt: row.state === 'pending' ? row.nextAt.toISOString() : null,
    ...{ replayOf: row.replayOf, log: row.log },
  };
}

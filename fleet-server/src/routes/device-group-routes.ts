import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { GroupName, GroupSelector } from '../devices/selector.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { GroupRecord, GroupRepository } from '../io/database/group-repository.js';
import type { Now } from '../ports.js';
import { Problem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const GroupParams = Type.Object({ name: GroupName });
const GroupBody = Type.Object(
  {
    selector: GroupSelector,
    description: Type.Optional(Type.String({ maxLength: 1000 })),
    priority: Type.Optional(
      Type.Integer({ minimum: -1000, maximum: 1000, description: 'where several groups configure a board' }),
    ),
  },
  Strict,
);
type Named = { Params: Static<typeof GroupParams> };

/** Named selectors: `groups` of a selector, `group` of a list. */
export function deviceGroupRoutes(
  app: FastifyInstance,
  {
    groups,
    devices,
    selectionChanged,
    now,
  }: {
    groups: GroupRepository;
    devices: DeviceRepository;
    selectionChanged: () => void;
    now: Now;
  },
): void {
  const unknown = (name: string) => new Problem('GROUP_UNKNOWN', `there is no group ${name}`);

  app.get('/groups', { schema: { summary: 'All groups, the one that counts first at the top' } }, async () => ({
    items: (await groups.list()).map(view),
  }));

  app.get<Named>(
    '/groups/:name',
    { schema: { summary: 'One group, and how many boards it holds', params: GroupParams } },
    async ({ params }) => {
      const group = await groups.find(params.name);
      if (group === null) throw unknown(params.name);
      const counts = await devices.counts({ group: params.name }, await groups.selectors());
      return { ...view(group), counts };
    },
  );

  app.put<Named & { Body: Static<typeof GroupBody> }>(
    '/groups/:name',
    { schema: { summary: 'Make or change a group', params: GroupParams, body: GroupBody } },
    async ({ params, body }) => {
      const { selector, description = '', priority = 0 } = body;
      const group = await groups.put({ name: params.name, selector, description, priority }, now());
      selectionChanged();
      return view(group);
    },
  );

  app.delete<Named>(
    '/groups/:name',
    { schema: { summary: 'Forget a group; its configuration no longer reaches a board', params: GroupParams } },
    async ({ params }, reply) => {
      if (!(await groups.remove(params.name))) throw unknown(params.name);
      selectionChanged();
      return reply.code(204).send();
    },
  );
}

function view({ createdAt, updatedAt, ...group }: GroupRecord) {
  return { ...group, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

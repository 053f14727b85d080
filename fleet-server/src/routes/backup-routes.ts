import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';

const BackupQuery = Type.Object(
  { telemetry: Type.Optional(Type.Boolean({ default: false, description: 'raw telemetry, too' })) },
  { additionalProperties: false },
);

/** The backup of the running server. It holds every key of the fleet: administrators only. */
export function backupRoutes(app: FastifyInstance, backup: (telemetry: boolean) => Promise<Readable>): void {
  app.get<{ Querystring: Static<typeof BackupQuery> }>(
    '/backup',
    {
      schema: { summary: 'Everything of this server as one gzipped tar; use "vigie backup"', querystring: BackupQuery },
      config: { role: 'admin' },
    },
    async ({ query }, reply) => {
      const stream = await backup(query.telemetry === true);
      // A client that leaves ends the reading of the database, too.
      reply.raw.once('close', () => stream.destroy());
      return reply.type('application/gzip').send(stream);
    },
  );
}

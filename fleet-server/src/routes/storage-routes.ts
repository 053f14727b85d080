import type { FastifyInstance } from 'fastify';
import type { BlobCollector } from '../services/blob-collector.js';

/** What the object store holds. Collections run by themselves. */
export function storageRoutes(app: FastifyInstance, collector: BlobCollector): void {
  app.get(
    '/storage',
    { schema: { summary: 'Objects in the store, those that nothing refers to, and the last collection' } },
    async () => ({ ...(await collector.measure()), lastCollection: collector.last }),
  );
  app.post(
    '/storage/collect',
    {
      config: { role: 'admin' },
      schema: { summary: 'Delete what nothing refers to for longer than the grace period' },
    },
    async () => collector.collect(),
  );
}

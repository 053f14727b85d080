import type { FastifyInstance } from 'fastify';
import { type Actor, mayActAs } from '../roles.js';
import { sendProblem } from './problem.js';

export interface MetricsRouteServices {
  exposition(): Promise<string>;
  /** Whose token this is. */
  operator(token: string): Promise<Actor | null>;
  observe(labels: { method: string; route: string; status: string }, seconds: number): void;
}

/** Methods that are told apart: a stranger may send any word. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Prometheus' view of the server: open on the listener without TLS, which is for this machine only; elsewhere, and behind a
 * proxy, for tokens of the role viewer.
 */
export function metricsRoutes(app: FastifyInstance, { exposition, operator, observe }: MetricsRouteServices): void {
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    const route = routeOptions.url ?? 'unknown';
    const labels = {
      method: METHODS.has(method) ? method : 'other',
      route,
      status: `${Math.floor(reply.statusCode / 100)}xx`,
    };
    observe(labels, reply.elapsedTime / 1000);
  });
  app.get(
    '/metrics',
    { schema: { summary: 'Figures for Prometheus' }, config: { open: true } },
    async (request, reply) => {
      const { headers, protocol } = request;
      const proxied = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined;
      if (protocol === 'https' || proxied) {
        const token = /^Bearer ([\w-]{16,200})$/i.exec(headers.authorization ?? '')?.[1];
        const actor = token === undefined ? null : await operator(token);
        if (actor === null)
          return sendProblem(reply, 'UNAUTHORIZED', 'send a token of the role viewer as "Authorization: Bearer TOKEN"');
        if (!mayActAs(actor, 'viewer')) return sendProblem(reply, 'FORBIDDEN', `${actor.name} may not read`);
      }
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await exposition());
    },
  );
}

import { type Static, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { PromotionRecord, PromotionRepository } from '../io/database/promotion-repository.js';
import { PromotionAlias } from '../registry/promotion.js';
import type { ReleasePromotions } from '../services/release-promotions.js';
import { OverrideLabels } from './assignment-routes.js';
import { Paging, pageParameters } from './paging.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const PAGING = new Paging('promotions', Type.Integer({ minimum: 0 }));
const PromotionRequest = Type.Object(
  {
    name: ModelName,
    version: SemanticVersion,
    alias: PromotionAlias,
    reason: Type.String({ minLength: 3, maxLength: 2000 }),
    compared: Type.Optional(
      Type.Array(Type.Object({ name: ModelName, version: SemanticVersion }, Strict), { maxItems: 16 }),
    ),
    overrideLabels: Type.Optional(OverrideLabels),
  },
  Strict,
);
const PromotionQuery = Type.Object(
  { name: Type.Optional(ModelName), alias: Type.Optional(PromotionAlias), ...pageParameters() },
  Strict,
);

export function viewPromotion(promotion: PromotionRecord): object {
  const { id, at, name, version, alias, actor, reason, compared, missingLabels } = promotion;
  return { id, at, name, version, alias, actor, reason, compared, missingLabels };
}

/** Who decided what about champions and candidates. */
export function promotionRoutes(
  app: FastifyInstance,
  promotions: ReleasePromotions,
  repository: PromotionRepository,
): void {
  app.post<{ Body: Static<typeof PromotionRequest> }>(
    '/promotions',
    {
      config: { role: 'publisher' },
      schema: { summary: 'Decide which release of a model is its champion or candidate', body: PromotionRequest },
    },
    async ({ body, actor }, reply) => {
      const result = await promotions.promote({ ...body, actor: actor?.name ?? 'system' });
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(201).send(viewPromotion(result.promotion));
    },
  );

  app.get<{ Querystring: Static<typeof PromotionQuery> }>(
    '/promotions',
    { schema: { summary: 'Decisions about champions and candidates, newest first', querystring: PromotionQuery } },
    async ({ query }) => {
      const asked = PAGING.read(query);
      const { name, alias } = query;
      const rows = await repository.list({ name, alias }, asked.after, asked.limit + 1);
      return PAGING.page(rows, asked, (row) => row.id, viewPromotion);
    },
  );

  app.get('/models', { schema: { summary: 'Each model with its champion and candidate' } }, async () => {
    const models = new Map<string, Record<string, unknown>>();
    for (const { name, alias, ...holder } of await repository.holders())
      models.set(name, { ...(models.get(name) ?? { name, champion: null, candidate: null }), [alias]: holder });
    return { items: [...models.values()] };
  });
}

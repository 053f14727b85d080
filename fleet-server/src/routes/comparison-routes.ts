import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { comparisonCsv, comparisonMarkdown } from '../registry/comparison-report.js';
import type { ReleaseComparison } from '../services/release-comparison.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;
const ReleaseLabel = Type.String({
  pattern: '^[a-z0-9][a-z0-9_-]{0,63}@[0-9A-Za-z.+-]{1,64}$',
  description: '`name@version`',
});
const ComparisonQuery = Type.Object(
  {
    a: ReleaseLabel,
    b: ReleaseLabel,
    format: Type.Optional(
      Type.Union([Type.Literal('json'), Type.Literal('csv'), Type.Literal('markdown')], { default: 'json' }),
    ),
  },
  Strict,
);

/** Any two releases side by side. */
export function comparisonRoutes(app: FastifyInstance, comparisons: ReleaseComparison): void {
  app.get<{ Querystring: Static<typeof ComparisonQuery> }>(
    '/releases/compare',
    {
      schema: {
        summary: 'Two releases side by side: metrics, size, latency per platform, AP; JSON, CSV or Markdown',
        querystring: ComparisonQuery,
      },
    },
    async ({ query }, reply) => {
      const result = await comparisons.compare(parse(query.a), parse(query.b));
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      if (query.format === 'csv')
        return reply
          .type('text/csv; charset=utf-8; header=present')
          .header('content-disposition', 'attachment; filename="comparison.csv"')
          .send(comparisonCsv(result.comparison));
      if (query.format === 'markdown')
        return reply.type('text/markdown; charset=utf-8').send(comparisonMarkdown(result.comparison));
      return result.comparison;
    },
  );
}

function parse(label: string): { name: string; version: string } {
  const at = label.indexOf('@');
  return { name: label.slice(0, at), version: label.slice(at + 1) };
}

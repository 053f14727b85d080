import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { DeliveryPolicy, DeviceId, ModelName, SemanticVersion, ShadowPolicy, TrialPolicy } from '@vigie/protocol';
import type { FastifyInstance } from 'fastify';
import type { AssignmentService } from '../services/assignment.js';
import { sendProblem } from './problem.js';

const Strict = { additionalProperties: false } as const;

/** Go on although rules of boards need labels that the release lacks. */
export const OverrideLabels = Type.Object({ reason: Type.String({ minLength: 3, maxLength: 1000 }) }, Strict);
const AssignmentRequest = Type.Object(
  {
    devices: Type.Array(DeviceId, { minItems: 1, maxItems: 5000 }),
    name: ModelName,
    version: SemanticVersion,
    retry: Type.Optional(Type.Boolean()),
    trial: Type.Optional(Type.Partial(TrialPolicy, Strict)),
    /** What it leaves out takes the defaults of ShadowPolicy. */
    shadow: Type.Optional(Type.Partial(ShadowPolicy, Strict)),
    delivery: Type.Optional(Type.Partial(DeliveryPolicy, Strict)),
    overrideLabels: Type.Optional(OverrideLabels),
  },
  Strict,
);

/** One release to named boards at once, without waves. */
export function assignmentRoutes(app: FastifyInstance, assignments: AssignmentService): void {
  app.post<{ Body: Static<typeof AssignmentRequest> }>(
    '/assignments',
    { schema: { summary: 'Give devices a release', body: AssignmentRequest } },
    async ({ body, actor }, reply) => {
      const shadow = body.shadow && { ...Value.Create(ShadowPolicy), ...body.shadow };
      const result = await assignments.assign({ ...body, shadow, actor: actor?.name });
      if (!result.ok) return sendProblem(reply, result.code, result.detail);
      return reply.code(202).send({ assignments: result.assignments });
    },
  );
}

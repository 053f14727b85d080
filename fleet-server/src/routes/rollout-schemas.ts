import { type Static, Type } from '@sinclair/typebox';
import { DECISION_KINDS } from '../rollout/model.js';
import { RolloutRequest } from '../rollout/spec.js';
import { MEMBER_STATES, ROLLOUT_STATES } from '../rollout/states.js';
import { pageParameters } from './paging.js';

const Strict = { additionalProperties: false } as const;
const oneOf = <Name extends string>(names: readonly Name[]) => Type.Union(names.map((name) => Type.Literal(name)));

export const RolloutParams = Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,8}$' }) });
export type RolloutParams = Static<typeof RolloutParams>;

export const CreateBody = Type.Object(RolloutRequest.properties, Strict);
export const CreateQuery = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean({ description: 'store nothing; say which boards would come into which wave' })),
    start: Type.Optional(Type.Boolean({ description: 'start it at once' })),
  },
  Strict,
);

export const ListQuery = Type.Object(
  { ...pageParameters(200, 50), state: Type.Optional(oneOf(ROLLOUT_STATES)) },
  Strict,
);
export const DevicesQuery = Type.Object(
  {
    ...pageParameters(),
    wave: Type.Optional(Type.Integer({ minimum: 0, maximum: 32 })),
    state: Type.Optional(oneOf([...MEMBER_STATES, 'unreachable'] as const)),
  },
  Strict,
);
export const DecisionsQuery = Type.Object({ ...pageParameters(), kind: Type.Optional(oneOf(DECISION_KINDS)) }, Strict);

const Reason = Type.Optional(Type.String({ minLength: 1, maxLength: 500 }));
/** Bodies of the commands; one may be left out. */
export const COMMAND_BODIES = {
  start: Type.Object({}, Strict),
  pause: Type.Object({ reason: Reason }, Strict),
  resume: Type.Object(
    {
      accept: Type.Optional(
        Type.Boolean({ description: 'take the wave as it is, though its thresholds did not hold' }),
      ),
    },
    Strict,
  ),
  abort: Type.Object({ reason: Reason }, Strict),
  rollback: Type.Object({ reason: Reason }, Strict),
  retry: Type.Object({}, Strict),
  approve: Type.Object({ winner: Type.Optional(oneOf(['A', 'B'] as const)), reason: Reason }, Strict),
} as const;
export type CommandName = keyof typeof COMMAND_BODIES;

export const COMMAND_SUMMARIES: Record<CommandName, string> = {
  start: 'Start a rollout',
  pause: 'Tell no more boards; those at work go on',
  resume: 'Go on after a pause',
  abort: 'End it: boards that have not ended stay with what they ran',
  rollback: 'Turn all its boards back to what they ran before',
  retry: 'Tell boards again on which it failed',
  approve: 'Let the wave open that waits for approval, or choose the winner of a comparison',
};

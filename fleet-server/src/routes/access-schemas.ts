import { Type } from '@sinclair/typebox';
import { ROLES } from '../roles.js';
import { MAX_PASSWORD } from '../services/password-rules.js';
import { Secret } from './request-check.js';

/** What users, sessions and tokens look like in the API. */
export const RoleName = Type.Union(
  ROLES.map((role) => Type.Literal(role)),
  {
    description:
      'viewer reads; operator moves boards and rollouts; publisher uploads; ci posts results; admin does all',
  },
);
export const UserName = Type.String({
  pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
  description: 'lower case, 1..63 characters',
});
export const Password = Type.String({ ...Secret, minLength: 1, maxLength: MAX_PASSWORD * 2 });
export const Id = Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' });

const Instant = Type.String({ description: 'ISO 8601, UTC' });
const Maybe = Type.Union([Instant, Type.Null()]);

export const UserView = Type.Object({
  name: UserName,
  role: RoleName,
  createdAt: Instant,
  createdBy: Type.String(),
  passwordChangedAt: Instant,
  lastLoginAt: Maybe,
  disabledAt: Maybe,
});
export const SessionView = Type.Object({
  id: Id,
  user: UserName,
  role: RoleName,
  createdAt: Instant,
  seenAt: Instant,
  expiresAt: Instant,
  address: Type.String(),
  userAgent: Type.String(),
});
export const LoginView = Type.Object({
  name: Type.String(),
  role: RoleName,
  kind: Type.Union([Type.Literal('session'), Type.Literal('token')]),
  expiresAt: Maybe,
  csrfToken: Type.Union([Type.String(), Type.Null()], {
    description: 'a page sends it as x-vigie-csrf with every change; null for tokens',
  }),
});
export const TokenView = Type.Object({
  id: Id,
  name: Type.String(),
  role: RoleName,
  createdAt: Instant,
  createdBy: Type.Union([Type.String(), Type.Null()]),
  expiresAt: Maybe,
  usedAt: Maybe,
  revokedAt: Maybe,
});

/** Key of lists that are sorted by their time of creation, newest first. */
export const CreationKey = Type.Tuple([
  Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }),
  Type.String({ maxLength: 100 }),
]);
export function creationKey({ createdAt, id }: { createdAt: Date; id: string }): [string, string] {
  return [createdAt.toISOString(), id];
}

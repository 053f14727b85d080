/** What an operator, a session or an API token may do. */
export const ROLES = ['viewer', 'operator', 'publisher', 'ci', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** What a role contains besides itself. `ci` posts benchmark results and reads; it moves nothing. */
const CONTAINS: Record<Role, readonly Role[]> = {
  viewer: [],
  ci: ['viewer'],
  operator: ['viewer'],
  publisher: ['viewer'],
  admin: ['viewer', 'operator', 'publisher', 'ci'],
};

/** Who asks. */
export interface Actor {
  /** As the audit log names it: a user's or a token's name. */
  name: string;
  role: Role;
  /** Who answers for it: the user, or for a token the one who made it. Two persons means two of these. */
  person?: string;
}

/** What a request showed to prove who asks. */
export interface Credential {
  kind: 'token' | 'session';
  /** Names it in the audit log; says nothing that would let anybody in. */
  id: string;
  actor: Actor;
  expiresAt: Date | null;
  /** What the client showed. Never stored, never logged. */
  secret: string;
}

export function mayActAs(actor: Actor, wanted: Role): boolean {
  return actor.role === wanted || CONTAINS[actor.role].includes(wanted);
}

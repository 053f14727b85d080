import type { FastifyReply } from 'fastify';

/** Every refusal of the API: its HTTP status and title. Clients read codes, not wording. */
export const PROBLEMS = {
  REQUEST_INVALID: [400, 'The request breaks its schema'],
  CURSOR_INVALID: [400, 'The cursor is none of this list'],
  UNAUTHORIZED: [401, 'A valid bearer token is needed'],
  FORBIDDEN: [403, 'The role does not suffice'],
  LOGIN_FAILED: [401, 'User or password is wrong'],
  CSRF_INVALID: [403, 'The request may come from another page'],
  RATE_LIMITED: [429, 'Too many requests'],
  IDEMPOTENCY_KEY_REUSED: [422, 'The idempotency key belongs to another request'],
  IDEMPOTENCY_IN_PROGRESS: [409, 'The first request with this idempotency key still runs'],
  PASSWORD_WEAK: [422, 'The password is too weak'],
  USER_UNKNOWN: [404, 'There is no such user'],
  USER_EXISTS: [409, 'The user exists'],
  SESSION_UNKNOWN: [404, 'There is no such session'],
  TOKEN_UNKNOWN: [404, 'There is no such token'],
  ENROLLMENT_TOKEN_INVALID: [403, 'The enrolment token does not count'],
  CSR_INVALID: [400, 'The certificate request is not valid'],
  TLS_REQUIRED: [403, 'This needs TLS'],
  CERTIFICATE_REQUIRED: [401, "A board's certificate is needed"],
  CERTIFICATE_UNTRUSTED: [403, 'The certificate is not of this fleet'],
  CERTIFICATE_EXPIRED: [403, 'The certificate has expired'],
  CERTIFICATE_REVOKED: [403, 'The certificate does not count any more'],
  TOO_MANY_ATTEMPTS: [429, 'Too many attempts failed'],
  DEVICE_ID_RESERVED: [409, 'The device id is reserved'],
  NOT_FOUND: [404, 'There is no such resource'],
  METHOD_NOT_ALLOWED: [405, 'The method is not allowed here'],
  DEVICE_UNKNOWN: [404, 'There is no such device'],
  DEVICE_PENDING: [409, 'The device waits for approval'],
  DEVICE_REVOKED: [409, 'The device was shut out'],
  DEVICE_NOT_PENDING: [409, 'The device does not wait for approval'],
  GROUP_UNKNOWN: [404, 'There is no such group'],
  TIME_ZONE_UNKNOWN: [422, 'There is no such time zone'],
  CONFIGURATION_UNKNOWN: [404, 'There is no such configuration'],
  CONFIGURATION_INVALID: [422, 'The configuration makes no sense'],
  COMMAND_UNKNOWN: [404, 'There is no such command'],
  RELEASE_UNKNOWN: [404, 'There is no such release'],
  SNAPSHOT_UNKNOWN: [404, 'There is no such snapshot'],
  RELEASE_NOT_RELEASED: [409, 'The release cannot be assigned'],
  RELEASE_NOT_PUBLISHED: [409, 'The release waits for signatures'],
  ROLLOUT_UNKNOWN: [404, 'There is no such rollout'],
  ROLLOUT_INVALID: [422, 'The rollout cannot be meant'],
  ROLLOUT_STATE_FORBIDDEN: [409, 'The rollout takes no such command now'],
  ROLLOUT_WITHOUT_DEVICES: [409, 'The rollout would reach no board'],
  APPROVAL_NEEDS_ANOTHER: [403, 'Somebody else must approve'],
  STAGED_MISMATCH: [409, 'Something else waits for signatures'],
  KEY_UNKNOWN: [422, 'The key does not sign for this role'],
  SIGNATURE_INVALID: [422, 'The signature is not of what waits'],
  RELEASE_STATE_FORBIDDEN: [409, 'The release cannot change to that state'],
  RELEASE_VERSION_TAKEN: [409, 'The version holds other bytes'],
  RELEASE_WITHDRAWN: [409, 'The release was withdrawn'],
  REGISTRY_FULL: [409, 'The registry is full'],
  UPLOAD_TOO_LARGE: [413, 'The package is too large'],
  BODY_TOO_LARGE: [413, 'The body is too large'],
  MLFLOW_NOT_CONFIGURED: [409, 'No MLflow server is configured'],
  UPLOAD_UNKNOWN: [404, 'There is no such upload'],
  UPLOAD_ELSEWHERE: [409, 'Another replica holds the upload'],
  UPLOAD_OFFSET_WRONG: [409, 'The offset is not where the bytes end'],
  UPLOAD_CLOSED: [409, 'The upload takes no more bytes'],
  UPLOAD_CORRUPT: [422, 'The bytes are not the announced ones'],
  STORAGE_FULL: [507, "The server's disk is full"],
  UPLOADS_FULL: [429, 'Too many uploads are open'],
  LABELS_MISSING: [409, 'The release lacks labels that boards need'],
  UPLOAD_CUT: [400, 'The upload was cut'],
  RANGE_IMPOSSIBLE: [416, 'The range lies beyond the object'],
  MEDIA_TYPE_UNSUPPORTED: [415, 'The media type is not supported here'],
  PACKAGE_INVALID: [422, 'The package is not valid'],
  DESCRIPTOR_TOO_LARGE: [422, 'The package has too many chunks'],
  MODEL_LOAD_FAILED: [422, 'The model does not load'],
  GOLDEN_MISMATCH: [422, 'The model fails its golden test'],
  VERIFICATION_TIMEOUT: [422, 'The model takes too long'],
  VERIFICATION_OUT_OF_MEMORY: [422, 'The model takes too much memory'],
  VERIFICATION_CRASHED: [422, 'The model crashed its test'],
  ALERT_RULE_INVALID: [422, 'The alert rule makes no sense'],
  DATABASE_UNAVAILABLE: [503, 'The database is not available'],
  BENCHMARK_UNKNOWN: [404, 'There is no such benchmark result'],
  BENCHMARK_RELEASE_MISMATCH: [409, 'Another package was measured'],
  BENCHMARK_FROM_FUTURE: [422, 'The result lies ahead of the clock'],
  BENCHMARK_TOO_LARGE: [413, 'The result is too large'],
  BENCHMARKS_FULL: [409, 'The release has too many results'],
  GATE_UNKNOWN: [404, 'There is no such gate policy'],
  GATE_INVALID: [422, 'The gate policy is not valid'],
  GATE_CHANGED: [409, 'The gate policy changed meanwhile'],
  VERDICT_UNKNOWN: [404, 'There is no such verdict'],
  RELEASE_NOT_APPROVED: [409, 'The release is not certified'],
  CERTIFICATE_UNKNOWN: [404, 'There is no such certificate'],
  OVERRIDE_UNKNOWN: [404, 'There is no such override'],
  OVERRIDE_DECIDED: [409, 'The override was decided already'],
  OVERRIDE_NEEDS_SECOND_PERSON: [403, 'Somebody else must approve'],
  LAB_BOARD_MISSING: [409, 'No lab board can be asked'],
  OBJECT_STORE_UNAVAILABLE: [503, 'The object store is not available'],
  SERVER_BUSY: [503, 'The server is busy'],
  INTERNAL: [500, 'The server failed'],
} as const satisfies Record<string, readonly [number, string]>;
export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal thrown from a handler: answered like one that is sent. */
export class Problem extends Error {
  constructor(
    readonly code: ProblemCode,
    detail: string,
    readonly extra: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

/** Answers with a problem document (RFC 9457). `extra` members stand beside the standard ones. */
export function sendProblem(
  reply: FastifyReply,
  code: ProblemCode,
  detail: string,
  extra: Record<string, unknown> = {},
): FastifyReply {
  const [status, title] = PROBLEMS[code];
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="vigie"');
  if (status === 503) reply.header('retry-after', '5');
  return reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title, status, code, detail, ...extra }));
}

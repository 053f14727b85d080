/** A refusal of the server, or a server that does not answer: one line for the operator. The command ends with 1. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** HTTP status, where the server answered. */
    readonly status: number | null = null,
  ) {
    super(message);
  }
}

/** What was typed cannot be meant. The command ends with 2. */
export class UsageError extends ApiError {}

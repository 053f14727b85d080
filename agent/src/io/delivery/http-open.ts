/** An answer whose body has not been read yet. Leaving the iteration of `stream` early ends the transfer. */
export interface HttpAnswer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  stream: AsyncIterable<Uint8Array>;
}

/** Sends a GET as this board; resolves with the head of the answer. Rejects on faults of the line, or with the signal's reason. */
export type HttpOpen = (
  url: string,
  options: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<HttpAnswer>;

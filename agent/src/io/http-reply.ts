import type { IncomingMessage, ServerResponse } from 'node:http';

/** On every answer. `same-site` lets the fleet's page on another port of this host show the stream, and no one else. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-site',
  'X-Frame-Options': 'DENY',
};

/** One request and where its answer goes. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  /** HEAD: the same headers, no body. */
  headOnly: boolean;
}

/** Sends a whole body; `Content-Length` is that of the body also for HEAD. */
export function send(exchange: Exchange, status: number, type: string, body: string | Buffer): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  exchange.response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
  });
  exchange.response.end(exchange.headOnly ? undefined : bytes);
}

export function sendJson(exchange: Exchange, status: number, value: unknown): void {
  send(exchange, status, 'application/json; charset=utf-8', `${JSON.stringify(value)}\n`);
}

/** RFC 9457 problem document with a stable `code`. */
export function sendProblem(exchange: Exchange, status: number, code: string, detail: string): void {
  send(
    exchange,
    status,
    'application/problem+json; charset=utf-8',
    `${JSON.stringify({ title: code, status, code, detail })}\n`,
  );
}

export type Body = { ok: true; bytes: Buffer } | { ok: false; status: 400 | 413; code: 'TOO_LARGE' | 'BODY_BROKEN' };

/** Reads a request body of at most `limit` bytes. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Body> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return { ok: false, status: 413, code: 'TOO_LARGE' };
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of request) {
      length += (part as Buffer).length;
      if (length > limit) return { ok: false, status: 413, code: 'TOO_LARGE' };
      parts.push(part as Buffer);
    }
  } catch {
    return { ok: false, status: 400, code: 'BODY_BROKEN' };
  }
  return { ok: true, bytes: Buffer.concat(parts) };
}

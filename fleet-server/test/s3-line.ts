import { createHash, createHmac } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';

/** What happens to a request instead of being passed on. */
export type Trouble = 'cut' | number;

/**
 * Stands in front of a store that does not check signatures: does it by the book (AWS Signature Version 4, "Signature
 * calculations for the Authorization header"), checks the hash of what is sent, and fails as it is told to.
 */
export class S3Line {
  trouble: Trouble[] = [];
  readonly #server: Server;

  constructor(
    private readonly behind: string,
    private readonly secret: string,
  ) {
    this.#server = createServer((request, response) => {
      const now = this.trouble.shift();
      if (now === 'cut') return void request.socket.destroy();
      if (now !== undefined) return void response.writeHead(now).end('<Error><Code>SlowDown</Code></Error>');
      void request.toArray().then((pieces: Buffer[]) => {
        const body = Buffer.concat(pieces);
        const wrong = this.#problem(request, body);
        if (wrong !== null) return void response.writeHead(403).end(`<Error><Code>${wrong}</Code></Error>`);
        const { connection: _connection, 'content-length': _length, ...headers } = request.headers;
        const onward = httpRequest(
          `${this.behind}${request.url}`,
          {
            method: request.method,
            headers: { ...headers, ...(request.method === 'PUT' && { 'content-length': body.length }) },
          },
          (answer) => {
            response.writeHead(answer.statusCode as number, answer.headers);
            answer.pipe(response);
          },
        );
        onward.end(body);
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = this.#server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #problem({ method, url, headers }: IncomingMessage, body: Buffer): string | null {
    const stated = headers['x-amz-content-sha256'] as string;
    if (stated !== hash(body)) return 'XAmzContentSHA256Mismatch';
    const given = /^AWS4-HMAC-SHA256 Credential=[^/]+\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
    if (given === null) return 'AccessDenied';
    const [, scope, names, signature] = given;
    const [path, query = ''] = (url as string).split('?');
    const canonical = [
      method,
      path,
      query.split('&').sort().join('&'),
      ...names.split(';').map((name) => `${name}:${headers[name]}`),
      '',
      names,
      stated,
    ].join('\n');
    const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hash(Buffer.from(canonical))].join('\n');
    const key = scope.split('/').reduce<Buffer | string>((one, part) => hmac(one, part), `AWS4${this.secret}`);
    return hmac(key, text).toString('hex') === signature ? null : 'SignatureDoesNotMatch';
  }
}

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();

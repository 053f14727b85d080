import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpsGet } from '../src/io/https-metadata.js';
import type { TufSimulator } from './tuf-simulator.js';

/** A real HTTP server that serves a simulator's repository as the fleet server does, and remembers what was asked for. */
export class MetadataServer {
  readonly asked: string[] = [];
  repository: TufSimulator | null = null;
  /** Answers a path in its own way: a status, or bytes without end. */
  readonly special = new Map<string, number | 'endless'>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<MetadataServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const metadata = new MetadataServer(server);
    server.on('request', (request, response) => {
      const path = request.url ?? '';
      const special = metadata.special.get(path);
      if (special === 'endless') {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 32))) metadata.sent += 65_536;
        };
        response.on('drain', more);
        more();
        return;
      }
      const object = /^\/api\/v1\/objects\/([0-9a-f]{64})$/.exec(path);
      const name = path.startsWith('/tuf/') ? path.slice(5) : '';
      if (name !== '') metadata.asked.push(name);
      const { repository } = metadata;
      const bytes = object === null ? repository?.files.get(name) : repository?.objects.get(object[1]);
      response.writeHead(special ?? (bytes === undefined ? 404 : 200)).end(bytes ?? '');
    });
    return metadata;
  }

  /** Bytes of endless answers so far. */
  sent = 0;

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** The getter of a board without TLS: what is under test is what is asked for and how the answer is judged. */
export const plainGet: HttpsGet = (url, { maxBytes, signal }) =>
  new Promise((resolve, reject) => {
    const request = get(url, { signal }, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.length;
        if (length <= maxBytes) parts.push(part);
        else {
          reject(Object.assign(new Error(`${url}: more than ${maxBytes} bytes`), { code: 'ANSWER_TOO_LARGE' }));
          response.destroy();
        }
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedCall {
  headers: IncomingHttpHeaders;
  body: string;
  json: Record<string, never>;
  url: string;
}

/** A receiver of webhooks that keeps what came and answers as it is told. */
export class WebhookReceiver {
  readonly calls: ReceivedCall[] = [];
  /** Status of each answer; null: no answer at all. */
  answer: (call: ReceivedCall) => number | null | { status: number; headers: Record<string, string> } = () => 204;

  private constructor(private readonly server: Server) {}

  static async listen(): Promise<WebhookReceiver> {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => {
        body += part;
      });
      request.on('end', () => {
        const call = { headers: request.headers, body, json: JSON.parse(body), url: request.url ?? '' };
        receiver.calls.push(call);
        const answer = receiver.answer(call);
        if (answer === null) return;
        const { status, headers } = typeof answer === 'number' ? { status: answer, headers: {} } : answer;
        response.writeHead(status, headers).end('x'.repeat(status >= 400 ? 100_000 : 0));
      });
    });
    const receiver = new WebhookReceiver(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  of(kind: string): ReceivedCall[] {
    return this.calls.filter(({ json }) => json.type === kind);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

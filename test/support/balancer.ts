import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/** One TCP port in front of several: each connection goes to the next of those that answer, as a load balancer does. */
export class Balancer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #next = 0;

  private constructor(private readonly ports: readonly number[]) {
    this.#server = createServer((socket) => this.#connect(this.#keep(socket), this.ports.length));
  }

  static async listen(port: number, ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    await new Promise<void>((resolve, reject) => {
      balancer.#server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    return balancer;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(client: Socket, attempts: number): void {
    const port = this.ports[this.#next++ % this.ports.length];
    const node = this.#keep(dial({ port, host: '127.0.0.1' }));
    let connected = false;
    node.once('connect', () => {
      connected = true;
      client.pipe(node).pipe(client);
      node.once('close', () => client.destroy());
      client.once('close', () => node.destroy());
    });
    node.once('error', () => {
      if (!connected && attempts > 1) this.#connect(client, attempts - 1);
      else client.destroy();
    });
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
    socket.setNoDelay(true);
    return socket;
  }
}

import { execFileSync } from 'node:child_process';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/** Why no slow link can be made here; null: it can. */
export function slowLinkObstacle(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are there on Linux only';
  if (process.getuid?.() !== 0) return 'making network namespaces and rate limits needs root';
  for (const tool of ['ip', 'tc']) {
    try {
      execFileSync(tool, ['-V'], { stdio: 'ignore' });
    } catch {
      return `${tool} (package iproute2) is missing`;
    }
  }
  return null;
}

/**
 * A network namespace for a board behind a link of so many kbit/s each way (veth and tbf: netem is in few kernels). tbf also cuts
 * segmentation offload's giant packets into what a wire would carry, so that the interface counts what a wire would count.
 */
export class SlowLink {
  readonly hostAddress: string;
  private readonly namespace: string;
  private readonly outside: string;
  private readonly inside: string;

  constructor(kbitPerSecond: number) {
    const id = process.pid % 10_000;
    this.namespace = `vigie-${id}`;
    this.outside = `vgh${id}`;
    this.inside = `vgb${id}`;
    const net = `10.${200 + (id % 50)}.${(id >> 3) % 250}`;
    this.hostAddress = `${net}.1`;
    const tbf = ['root', 'tbf', 'rate', `${kbitPerSecond}kbit`, 'burst', '3200', 'limit', '65536'];
    run('ip', 'netns', 'add', this.namespace);
    run('ip', 'link', 'add', this.outside, 'type', 'veth', 'peer', 'name', this.inside, 'netns', this.namespace);
    run('ip', 'addr', 'add', `${this.hostAddress}/24`, 'dev', this.outside);
    run('ip', 'link', 'set', this.outside, 'up');
    this.within('ip', 'addr', 'add', `${net}.2/24`, 'dev', this.inside);
    this.within('ip', 'link', 'set', this.inside, 'up');
    this.within('ip', 'link', 'set', 'lo', 'up');
    run('tc', 'qdisc', 'add', 'dev', this.outside, ...tbf);
    this.within('tc', 'qdisc', 'add', 'dev', this.inside, ...tbf);
  }

  /** What puts a command into the board's namespace. */
  get prefix(): string[] {
    return ['ip', 'netns', 'exec', this.namespace];
  }

  /** Bytes and packets at the board's end of the link, both ways, Ethernet, IP and TCP headers included. */
  counters(): { received: number; sent: number } {
    const read = (name: string): number =>
      Number(this.within('cat', `/sys/class/net/${this.inside}/statistics/${name}`).trim());
    return { received: read('rx_bytes'), sent: read('tx_bytes') };
  }

  close(): void {
    run('ip', 'netns', 'del', this.namespace);
    try {
      run('ip', 'link', 'del', this.outside);
    } catch {
      // It went with its other end.
    }
  }

  private within(...command: string[]): string {
    return run(...(this.prefix as [string]), ...command);
  }
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Passes TCP on, and every `periodMs` stands still for `stallMs`, then resets all connections, as a bad line does. */
export class RestlessProxy {
  /** Payload passed towards the board and away from it, bytes. */
  readonly passed = { toBoard: 0, fromBoard: 0 };
  cuts = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(target: number, periodMs: number, stallMs: number) {
    this.#server = createServer((board) => this.#pass(board, dial({ port: target, host: '127.0.0.1', noDelay: true })));
    const round = setInterval(() => this.#cut(), periodMs);
    // The stall begins before each cut.
    const first = setTimeout(() => {
      this.#stall(true);
      this.#timers.push(setInterval(() => this.#stall(true), periodMs));
    }, periodMs - stallMs);
    this.#timers.push(round, first);
  }

  static async start(
    host: string,
    target: number,
    { periodMs, stallMs }: { periodMs: number; stallMs: number },
  ): Promise<RestlessProxy> {
    const proxy = new RestlessProxy(target, periodMs, stallMs);
    await new Promise<void>((resolve) => proxy.#server.listen(0, host, resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(board: Socket, server: Socket): void {
    const link = (from: Socket, to: Socket, way: 'toBoard' | 'fromBoard'): void => {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('data', (bytes) => {
        this.passed[way] += bytes.length;
        // What the slow link has not taken yet must not pile up here: it would come after a cut all the same.
        if (!to.write(bytes)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    };
    link(board, server, 'fromBoard');
    link(server, board, 'toBoard');
  }

  #stall(still: boolean): void {
    for (const socket of this.#sockets) {
      if (still) socket.pause();
      else socket.resume();
    }
  }

  #cut(): void {
    if (this.#sockets.size > 0) this.cuts += 1;
    // A reset: what waits in the kernel is gone, as when a line breaks.
    for (const socket of [...this.#sockets]) socket.resetAndDestroy();
  }
}

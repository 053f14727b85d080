import { createServer } from 'node:net';

/** Free TCP ports on loopback, all different: asked of the system, held together, then given back for use. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address === null || typeof address === 'string') reject(new Error('no port'));
            else resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Where the kernel takes the ports of outgoing connections from begins far above; nothing else is expected below. */
const FIXED_FROM = 15_000;
const FIXED_TO = 32_000;

/**
 * Free ports that stay usable over restarts of who listens on them. `freePorts` gives ports of the range that outgoing
 * connections use: while the listener is down a client that keeps connecting may be given that very port, and even meet itself.
 */
export async function fixedPorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = FIXED_FROM + Math.floor(Math.random() * (FIXED_TO - FIXED_FROM));
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

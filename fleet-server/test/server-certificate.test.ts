import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { AedesBroker } from '@vigie/fleet-server/io/built-in-broker/aedes-broker';
import { Authority } from '@vigie/fleet-server/io/pki/authority';
import { ServerCertificate } from '@vigie/fleet-server/io/pki/server-certificate';
import { newKeyPair, privateKeyPem } from '@vigie/fleet-server/io/pki/x509-library';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { temporaryFolder } from './server-fixture.js';

let folder = '';
let broker: AedesBroker | undefined;
let https: Server | undefined;

afterAll(async () => {
  https?.close();
  await broker?.close();
  await rm(folder, { recursive: true, force: true });
});

it('a renewed certificate is shown to new connections without a restart; live ones stay, strangers stay out', async () => {
  folder = await temporaryFolder();
  const now = new Date();
  const authority = await Authority.create(folder, now);
  let names = ['127.0.0.1'];
  const certificate = new ServerCertificate(authority, folder, () => names);
  await certificate.renew(now);
  const free = { host: '127.0.0.1', port: 0, maxConnections: 10 };
  const secure = { ...free, credentials: certificate.credentials, authority: authority.certificate };
  broker = await AedesBroker.create({
    plain: free,
    secure,
    authenticate: async () => null,
    onMessage: async () => {},
    log: pino({ level: 'silent' }),
  });
  const { secure: port } = await broker.listen();
  https = createServer({ ...certificate.credentials, ca: authority.certificate, requestCert: true });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const ports = [port, (https.address() as { port: number }).port];

  const keys = await newKeyPair();
  const board = {
    cert: (await authority.issueDevice('board-1', keys.publicKey, 1, now)).pem,
    key: await privateKeyPem(keys.privateKey),
  };
  const open = async (to: number): Promise<TLSSocket> => {
    const socket = connect({ port: to, host: '127.0.0.1', ca: authority.certificate, ...board });
    await once(socket, 'secureConnect');
    return socket;
  };
  const shown = (socket: TLSSocket) => socket.getPeerCertificate().serialNumber;

  const before = await Promise.all(ports.map(open));
  names = ['127.0.0.1', 'fleet.example'];
  expect(await certificate.renew(now)).toBe(true);
  broker.setCredentials(certificate.credentials);
  https.setSecureContext({ ...certificate.credentials, ca: authority.certificate });
  const after = await Promise.all(ports.map(open));
  expect(shown(after[0])).not.toBe(shown(before[0]));
  expect(after.map(shown)).toEqual([shown(after[0]), shown(after[0])]);
  expect(before.every((socket) => !socket.destroyed)).toBe(true);
  // The new context still asks for a certificate of the authority.
  const stranger = connect({ port: ports[0], host: '127.0.0.1', ca: authority.certificate });
  stranger.on('error', () => {});
  await new Promise((resolve) => stranger.once('close', resolve));
  for (const socket of [...before, ...after]) socket.end();
});

import { MAX_MESSAGE_BYTES, ROOT } from '@vigie/protocol';

export interface MosquittoOptions {
  /** Where the files will lie on the broker's machine. */
  directory: string;
  /** Of the listener for boards. */
  port: number;
  /** The listener for the fleet server alone: where it is bound, and its TCP port. */
  serverHost: string;
  serverPort: number;
  /** Common name of the fleet server's own client certificate. */
  server: string;
}

/** Names of the files beside `mosquitto.conf`. */
export const MOSQUITTO_FILES = {
  config: 'mosquitto.conf',
  acl: 'acl',
  authority: 'authority.pem',
  certificate: 'broker.pem',
  key: 'broker.key',
  revoked: 'revoked.pem',
  serverCertificate: 'vigie-server.pem',
  serverKey: 'vigie-server.key',
} as const;

/** `mosquitto.conf` (Mosquitto 2.0) for boards and the fleet server by mutual TLS. */
export function mosquittoConfig({ directory, port, serverHost, serverPort }: MosquittoOptions): string {
  const at = (name: string) => `${directory}/${name}`;
  const { authority, certificate, key, revoked, acl } = MOSQUITTO_FILES;
  const tls = `cafile ${at(authority)}
certfile ${at(certificate)}
keyfile ${at(key)}
# Copy a new list here (vigie-server broker-config --revoked-only) and send SIGHUP.
crlfile ${at(revoked)}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true`;
  return `# Made by \`vigie-server broker-config\`. Boards and the fleet server come in by their certificates, nobody else.

# Boards. Who a client is stands in its certificate: neither a user name nor a client id that it states counts.
listener ${port}
${tls}
use_username_as_clientid true

# The fleet server, which has several connections and ends the session of a revoked board by taking its client id over.
# Boards must not reach this port: here a client id is believed.
listener ${serverPort} ${serverHost}
${tls}

allow_anonymous false
acl_file ${at(acl)}

# What the wire contract promises: no message is larger, nothing is sent by QoS 2.
message_size_limit ${MAX_MESSAGE_BYTES}
max_qos 1
# A board fetches chunks in a window far below this; what a board that stopped reading has waiting is bounded.
max_queued_messages 1000
max_inflight_messages 100
persistent_client_expiration 1d
set_tcp_nodelay true

# Retained state over a restart. The fleet server publishes it again all the same.
persistence true
persistence_location ${at('data')}/
autosave_interval 60
`;
}

/** Access control: what docs/wire.md lets a device touch. %u is the common name of its certificate. */
export function mosquittoAcl({ server }: Pick<MosquittoOptions, 'server'>): string {
  const own = `${ROOT}/devices/%u`;
  const published = ['reported', 'presence', 'telemetry', 'events', 'snapshots/+', 'replies'];
  const read = ['desired', 'commands', 'acks'];
  return [
    '# Made by `vigie-server broker-config`.',
    `user ${server}`,
    `topic readwrite ${ROOT}/#`,
    '',
    '# Every board, under its own name alone:',
    ...published.map((kind) => `pattern write ${own}/${kind}`),
    ...read.map((kind) => `pattern read ${own}/${kind}`),
    '# and what all boards share. (Mosquitto warns that these name no %u: that is meant.)',
    `pattern read ${ROOT}/tuf/#`,
    `pattern read ${ROOT}/chunks/+`,
    '',
  ].join('\n');
}

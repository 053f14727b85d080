import { ROOT } from '@vigie/protocol';

export interface NatsNode {
  /** Of this node within the cluster, and of its files. */
  name: string;
  /** Host name or address by which the other nodes and the boards reach it. */
  host: string;
  /** TCP ports: MQTT for boards and fleet server; routes between the nodes. */
  port: number;
  clusterPort: number;
}

export interface NatsOptions {
  /** Where the files will lie on the brokers' machines. */
  directory: string;
  /** All of the cluster; three or five, so that one may fail. */
  nodes: readonly NatsNode[];
  /** By which a node shows the others that it is one: a board has a certificate of the same authority. */
  routeSecret: string;
}

/** Names of the files that all nodes share, and of each node's own. */
export const NATS_FILES = {
  users: 'users.conf',
  authority: 'authority.pem',
  config: (node: string) => `${node}.conf`,
  certificate: (node: string) => `${node}.pem`,
  key: (node: string) => `${node}.key`,
} as const;

/** Of each stream: with three, any one node may go. */
const MOST_REPLICAS = 3;

/** The configuration of one node (nats-server 2.9) for boards and the fleet server by mutual TLS. */
export function natsConfig(node: NatsNode, { directory, nodes, routeSecret }: NatsOptions): string {
  const at = (name: string) => JSON.stringify(`${directory}/${name}`);
  const tls = `cert_file: ${at(NATS_FILES.certificate(node.name))}
    key_file: ${at(NATS_FILES.key(node.name))}
    ca_file: ${at(NATS_FILES.authority)}`;
  const others = nodes.filter(({ name }) => name !== node.name);
  const routes = others.map(({ host, clusterPort }) => `"nats-route://vigie:${routeSecret}@${host}:${clusterPort}"`);
  return `# Made by \`vigie-server broker-config nats\`. Boards and the fleet server come in by their certificates, nobody else.
server_name: ${node.name}

# NATS' own protocol, which nobody needs here: any free port of loopback, and no way in without a listed certificate.
listen: "127.0.0.1:-1"
tls {
    ${tls}
    verify_and_map: true
}

mqtt {
  port: ${node.port}
  # The name in the certificate is the user: what it may touch stands in ${NATS_FILES.users}.
  tls {
    ${tls}
    verify_and_map: true
  }
  # A message that was not acknowledged comes again after this time; a board takes no longer for one.
  ack_wait: "30s"
  max_ack_pending: 1024
  # Left to itself, a node counts its routes for the replicas, which are one less than the nodes: two of three, and streams
  # with two replicas have no leader as soon as one node is gone.
  stream_replicas: ${Math.min(nodes.length, MOST_REPLICAS)}
  # Each QoS 1 subscription is a consumer; their state needs no disk, the other nodes have it too.
  consumer_memory_storage: true
}

jetstream {
  store_dir: ${at(`${node.name}-data`)}
}

cluster {
  name: vigie
  port: ${node.clusterPort}
  authorization {
    user: vigie
    password: "${routeSecret}"
    timeout: 5
  }
  # Mutual: a node shows its certificate to the others.
  tls {
    ${tls}
    timeout: 5
  }
  # Boards are told one name for the whole cluster, not the addresses of its nodes.
  no_advertise: true
  routes: [${routes.join(', ')}]
}

include ./${NATS_FILES.users}
`;
}

/**
 * Who may come in, and what they may touch: docs/wire.md. NATS 2.9 knows no pattern for "its own name", so every board
 * is listed; one that is not listed is not let in. One that was shut out stays on the list, because nats-server 2.9 ends with
 * a nil pointer (mqttCheckPubRetainedPerms) when a reload takes away a user of whom it holds a retained message.
 *
 * @param server common name of the fleet server's own client certificate
 */
export function natsUsers(server: string, admitted: readonly string[], shutOut: readonly string[]): string {
  return [
    '# Made by `vigie-server broker-config nats`. After a change: nats-server --signal reload',
    'authorization {',
    '  users: [',
    user(server, [`${SUBJECTS}.>`], [`${SUBJECTS}.>`]),
    ...admitted.map((id) => board(id)),
    '    # Shut out: may come in by WebSocket alone, and no node listens for that.',
    ...shutOut.map((id) => board(id, 'allowed_connection_types: ["WEBSOCKET"], ')),
    '  ]',
    '}',
    '',
  ].join('\n');
}

/** Boards that this text of `natsUsers` names, admitted or shut out. */
export function boardsIn(users: string, server: string): string[] {
  return [...users.matchAll(/\{user: "CN=([A-Za-z0-9_-]+)"/g)]
    .map(([, name]) => name)
    .filter((name) => name !== server);
}

/** A topic as NATS has it. */
const SUBJECTS = ROOT.replaceAll('/', '.');
const PUBLISHED = ['reported', 'presence', 'telemetry', 'events', 'snapshots.*', 'replies'];
const READ = ['desired', 'commands', 'acks'];

function board(id: string, more = ''): string {
  const own = (kinds: readonly string[]) => kinds.map((kind) => `${SUBJECTS}.devices.${id}.${kind}`);
  return user(id, own(PUBLISHED), [...own(READ), `${SUBJECTS}.tuf.>`, `${SUBJECTS}.chunks.*`], more);
}

function user(commonName: string, publish: readonly string[], subscribe: readonly string[], more = ''): string {
  const list = (subjects: readonly string[]) => `{allow: ${JSON.stringify(subjects)}}`;
  // $MQTT.sub: where JetStream delivers what a QoS 1 subscription asked for. No client may name it in a topic of its own.
  const permissions = `{publish: ${list(publish)}, subscribe: ${list([...subscribe, '$MQTT.sub.>'])}}`;
  return `    {user: "CN=${commonName}", ${more}permissions: ${permissions}}`;
}

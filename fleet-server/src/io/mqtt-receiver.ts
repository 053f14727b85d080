import type { IPublishPacket, MqttClient } from 'mqtt';

/** Messages of one connection that are being stored at the same time; above it the connection is not read. */
const MAX_OPEN = 2000;

interface Open {
  /** Null: QoS 0. */
  messageId: number | null;
  stored: boolean;
}

/**
 * Hands over what a connection receives without waiting for each message before the next, so that commits gather, and
 * acknowledges each (QoS 1) once it is stored, in the order of their arrival (MQTT 3.1.1, 4.6). mqtt.js alone would acknowledge one
 * message before it reads the next: it is told that they are QoS 0, and the acknowledgements are ours.
 */
export function receiveInBatches(
  client: MqttClient,
  store: (topic: string, payload: Buffer | string) => Promise<void>,
  onFailure: (topic: string, error: Error) => void,
): void {
  /** Of this connection, in the order of arrival. */
  let open: Open[] = [];
  let storing = 0;
  let paused: (() => void) | null = null;
  const acknowledge = (): void => {
    while (open[0]?.stored === true) {
      const { messageId } = open.shift() as Open;
      // PUBACK (MQTT 3.1.1, 3.4): 0x40, remaining length 2, packet identifier.
      if (messageId !== null && client.connected)
        client.stream.write(Buffer.from([0x40, 2, messageId >> 8, messageId & 0xff]));
    }
    if (storing < MAX_OPEN && paused !== null) {
      const goOn = paused;
      paused = null;
      goOn();
    }
  };
  const arrived = new WeakMap<object, number>();
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'publish' || packet.qos !== 1) return;
    arrived.set(packet, packet.messageId as number);
    packet.qos = 0;
  });
  // The broker forgets the identifiers with the connection, and sends again on the next one.
  client.on('close', () => {
    open = [];
  });
  client.handleMessage = (packet: IPublishPacket, done) => {
    const one: Open = { messageId: arrived.get(packet) ?? null, stored: false };
    open.push(one);
    storing += 1;
    store(packet.topic, packet.payload)
      .then(
        () => {
          one.stored = true;
        },
        (error: Error) => {
          if (!open.includes(one)) return;
          // What came after it must not be acknowledged before it: it keeps its place until the connection is gone.
          if (one.messageId === null) one.stored = true;
          else onFailure(packet.topic, error);
        },
      )
      .finally(() => {
        storing -= 1;
        acknowledge();
      });
    if (storing < MAX_OPEN) done();
    else paused = done;
  };
}

import { randomUUID } from 'node:crypto';
import { FleetConnection } from '@vigie/agent/io/fleet-connection';
import type { Identity } from '@vigie/agent/io/identity';
import { systemClock } from '@vigie/agent/io/system-clock';
import { openDesired } from '@vigie/agent/update/desired';
import type { Log } from '@vigie/agent/update/ports';
import { DELIVERY, type Precision, type ReleaseReference, type Reported } from '@vigie/protocol';
import { type BoardFaults, faultsOf, type SimulatedFaults, type SimulatedTiming, stableDraw } from './behaviour.js';
import { type BoardCounters, NO_COUNTS } from './counters.js';
import { SimulatedInstaller } from './simulated-installer.js';
import { SimulatedVision } from './simulated-vision.js';
import { volatileFiles } from './volatile-files.js';

export interface SimulatedBoardOptions {
  identity: Identity;
  /** Folder of its own: the trusted metadata. */
  directory: string;
  timing: SimulatedTiming;
  faults: SimulatedFaults;
  /** What it detects with before its first release. */
  model?: { release: ReleaseReference; precision: Precision };
  /** What went wrong, in words; absent: nobody wants to know. */
  onProblem?(deviceId: string, message: string): void;
}

const AGENT_VERSION = '0.1.0';
/** Roles of TUF that every update checks: root, timestamp, snapshot, targets. */
const ROLES_PER_UPDATE = 4;

/**
 * A board without a camera and without a model. Its line to the fleet is the agent's own: MQTT over TLS with its own
 * certificate, presence, outbox, signed desired states and commands, TUF updates. Reports and telemetry are made up.
 */
export class SimulatedBoard {
  readonly deviceId: string;
  readonly counters: BoardCounters = { ...NO_COUNTS };
  readonly faults: BoardFaults;
  readonly #options: SimulatedBoardOptions;
  readonly #vision: SimulatedVision;
  readonly #installer: SimulatedInstaller;
  #connection: FleetConnection | null = null;
  #timers: (() => void)[] = [];
  #events = 0;

  constructor(options: SimulatedBoardOptions) {
    const { identity, timing, faults, model } = options;
    this.#options = options;
    this.deviceId = identity.deviceId;
    this.faults = faultsOf(identity.deviceId, faults);
    const speed = (0.9 + 0.2 * stableDraw(identity.deviceId, 'speed')) * (this.faults.slow ? 0.5 : 1);
    this.#vision = new SimulatedVision(speed, () => Date.now(), Math.random);
    this.#installer = new SimulatedInstaller({
      ...{ hardwareClass: identity.hardwareClass, agentVersion: AGENT_VERSION, clock: systemClock, timing },
      ...{ random: Math.random, faults: this.faults, vision: this.#vision, counters: this.counters },
      onChange: (terminal) => this.#connection?.report(this.#installer.status, terminal),
    });
    if (model !== undefined) this.#installer.preload(model.release, model.precision);
  }

  get connected(): boolean {
    return this.#connection?.link.connected === true;
  }

  /** Bytes that came over its connection since it was started. */
  get receivedBytes(): number {
    return this.#connection?.link.receivedBytes ?? 0;
  }

  /** Messages that the server has not acknowledged. */
  get unacknowledged(): number {
    return this.#connection?.outbox.size ?? 0;
  }

  get phase(): Reported['phase'] {
    return this.#installer.status.phase;
  }

  /** What it detects with. */
  get running(): ReleaseReference | null {
    return this.#vision.running?.release ?? null;
  }

  /** Switches the board on: a new boot id, and a connection that is tried again until it stands. */
  async start(): Promise<void> {
    if (this.#connection !== null) return;
    const { identity, directory, timing } = this.#options;
    const connection = new FleetConnection({
      ...{ identity, dataDirectory: directory, clock: systemClock, log: this.#log(), files: volatileFiles },
      bootId: randomUUID(),
      agentVersion: AGENT_VERSION,
      hardwareClass: identity.hardwareClass,
      messageTimeoutMs: timing.messageMs,
      trust: { timing: { spreadMs: timing.metadataSpreadMs }, synchronised: () => true },
    });
    this.#connection = connection;
    if (this.faults.duplicates) sendTwice(connection.link);
    connection.releases.onRefresh(() => {
      this.counters.tufUpdates += 1;
      this.counters.signaturesVerified += ROLES_PER_UPDATE;
    });
    this.#installer.start(connection);
    const installer = this.#installer;
    await connection.start({
      desired: (bytes) => this.#desired(bytes),
      connected: () => {
        this.counters.connections += 1;
      },
      status: () => installer.status,
      get newestIssuedAt() {
        return installer.issuedAt;
      },
    });
    this.#every(timing.telemetryMs, () => {
      if (!connection.link.connected) return;
      connection.telemetry(this.#vision.telemetry(timing.telemetryMs / 1000));
      this.counters.telemetrySent += 1;
    });
    if (timing.eventMs > 0) this.#every(timing.eventMs, () => this.#event(connection));
  }

  /** Switches it off, with a good-bye. What it runs, and what was wanted of it, it knows again after the next start. */
  async stop(): Promise<void> {
    for (const cancel of this.#timers.splice(0)) cancel();
    const connection = this.#connection;
    this.#connection = null;
    this.#installer.stop();
    await connection?.close();
  }

  #desired(bytes: Uint8Array): void {
    const connection = this.#connection;
    if (connection === null) return;
    const opened = openDesired(bytes, {
      deviceId: this.deviceId,
      trustedKeys: connection.trustedKeys,
      lastGeneration: this.#installer.generation,
    });
    if (opened.kind === 'refused') {
      this.counters.desiredRefused += 1;
      this.#options.onProblem?.(this.deviceId, `desired state refused: ${opened.code}: ${opened.message}`);
      return;
    }
    this.counters.signaturesVerified += 1;
    if (opened.kind === 'nothing') return;
    this.counters.desiredAccepted += 1;
    this.#installer.accept(opened.desired);
  }

  #event(connection: FleetConnection): void {
    if (this.#vision.running === null) return;
    this.#events += 1;
    const id = `${Date.now().toString(36)}-${this.#events}`;
    for (const message of this.#vision.event(id, 3)) {
      connection.put('events', message);
      this.counters.eventsSent += 1;
    }
  }

  /** Again and again, first after a random part of the time, so that a fleet does not speak in one moment. */
  #every(ms: number, run: () => void): void {
    let cancel = () => {};
    const arm = (waitMs: number): void => {
      cancel = systemClock.after(waitMs, () => {
        arm(ms);
        run();
      });
    };
    arm(Math.random() * ms);
    this.#timers.push(() => cancel());
  }

  #log(): Log {
    const { onProblem } = this.#options;
    const tell = (fields: object, message: string): void => {
      // What every board says when a broker goes; the tally counts the connections.
      if (message.startsWith('no connection') || message === 'broker connection') return;
      onProblem?.(this.deviceId, `${message} ${JSON.stringify(fields).slice(0, 200)}`);
    };
    return { debug: () => {}, info: () => {}, warn: tell, error: tell };
  }
}

/** As a link that breaks between a message and its acknowledgement does. */
function sendTwice(link: FleetConnection['link']): void {
  const publish = link.publish.bind(link);
  link.publish = async (kind, topic, message) => {
    await publish(kind, topic, message);
    if (DELIVERY[kind].qos > 0) await publish(kind, topic, message);
  };
}

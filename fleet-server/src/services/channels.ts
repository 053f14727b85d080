import { randomBytes } from 'node:crypto';
import type { ChannelRepository, ChannelRow } from '../io/database/channel-repository.js';
import type { Now } from '../ports.js';
import type { ChannelInput, ChannelSecrets, ChannelSettings } from './channel.js';

/** Encrypts and decrypts; `purpose` is bound to a secret. */
export interface SecretBox {
  seal(text: string, purpose: string): string;
  unseal(sealed: string, purpose: string): string;
}

/** A channel as the API shows it: never with its secrets. */
export interface ChannelView {
  name: string;
  type: ChannelRow['type'];
  settings: Omit<ChannelSettings, 'type'>;
  events: string[];
  enabled: boolean;
  /** Which secrets it has. */
  secrets: string[];
  createdAt: string;
  updatedAt: string;
  failingSince: string | null;
  failures: number;
  disabledAt: string | null;
  disabledReason: string | null;
}

/** Channels with their secrets, which the database sees encrypted only. */
export class ChannelService {
  constructor(
    private readonly channels: ChannelRepository,
    private readonly box: SecretBox,
    private readonly now: Now,
  ) {}

  async list(): Promise<ChannelView[]> {
    return (await this.channels.list()).map((row) => this.#view(row));
  }

  async find(name: string): Promise<ChannelView | null> {
    const row = await this.channels.find(name);
    return row === null ? null : this.#view(row);
  }

  /**
   * Writes a channel. A secret that is left out stays as it was, as long as the target does: a new address never gets the old
   * one's secrets. `signingKey` is the webhook's key where it was made just now.
   */
  async put(name: string, input: ChannelInput): Promise<{ channel: ChannelView; signingKey: string | null }> {
    const before = await this.channels.find(name);
    const settings = settingsOf(input);
    const kept = before !== null && sameTarget(before.settings, settings) ? this.#secrets(before) : {};
    const secrets: ChannelSecrets = { ...kept, ...secretsOf(input) };
    let made: string | null = null;
    if (input.type === 'webhook' && secrets.signingKey === undefined) {
      made = `whsec_${randomBytes(32).toString('base64')}`;
      secrets.signingKey = made;
    }
    const secret = Object.keys(secrets).length === 0 ? null : this.box.seal(JSON.stringify(secrets), purpose(name));
    const { type, events = [], enabled = true } = input;
    const given = { name, type, settings, secret, events: [...new Set(events)], enabled };
    return { channel: this.#view(await this.channels.put(given, this.now())), signingKey: made };
  }

  async delete(name: string): Promise<boolean> {
    return this.channels.delete(name);
  }

  /** Throws where the key file does not fit. */
  readonly secretsOf = (row: ChannelRow): ChannelSecrets =>
    row.secret === null ? {} : (JSON.parse(this.box.unseal(row.secret, purpose(row.name))) as ChannelSecrets);

  /** What cannot be opened any more is as good as none. */
  #secrets(row: ChannelRow): ChannelSecrets {
    try {
      return this.secretsOf(row);
    } catch {
      return {};
    }
  }

  #view(row: ChannelRow): ChannelView {
    const { type, ...settings } = row.settings;
    return {
      ...{ name: row.name, type, settings, events: row.events, enabled: row.enabled },
      secrets: Object.keys(this.#secrets(row)).sort(),
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
      failingSince: row.failingSince?.toISOString() ?? null,
      failures: row.failures,
      disabledAt: row.disabledAt?.toISOString() ?? null,
      disabledReason: row.disabledReason,
    };
  }
}

const purpose = (name: string) => `channel ${name}`;

function settingsOf(input: ChannelInput): ChannelSettings {
  const authority = 'authority' in input && input.authority !== undefined ? { authority: input.authority } : {};
  switch (input.type) {
    case 'webhook':
      return { type: 'webhook', url: input.url, ...authority };
    case 'email':
      return { type: 'email', to: input.to };
    case 'mqtt': {
      const { url, topic, qos = 1, retain = false, username } = input;
      return { type: 'mqtt', url, topic, qos, retain, ...(username === undefined ? {} : { username }), ...authority };
    }
  }
}

function secretsOf(input: ChannelInput): ChannelSecrets {
  const all: ChannelSecrets =
    input.type === 'webhook'
      ? { signingKey: input.secret, authorization: input.authorization }
      : { password: input.type === 'mqtt' ? input.password : undefined };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function sameTarget(before: ChannelSettings, after: ChannelSettings): boolean {
  if (before.type === 'email' || after.type === 'email') return false;
  const [left, right] = [new URL(before.url), new URL(after.url)];
  return before.type === after.type && left.protocol === right.protocol && left.host === right.host;
}

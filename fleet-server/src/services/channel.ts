import { type Static, Type } from '@sinclair/typebox';
import { RuleName } from '../alerts/rule.js';
import { KindPattern } from '../alerts/subscription.js';

const Strict = { additionalProperties: false } as const;

const Events = Type.Optional(
  Type.Array(KindPattern, {
    maxItems: 32,
    description: 'what of the activity log goes there by itself, besides the alerts of rules that name the channel',
  }),
);
const Enabled = Type.Optional(Type.Boolean({ default: true }));
const Authority = Type.Optional(
  Type.String({ maxLength: 20_000, description: "authority of its TLS certificate, PEM; the system's when absent" }),
);

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const WebhookSecret = Type.String({
  pattern: '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$',
  description: 'signing key, `whsec_` and base64 of 24 to 64 bytes; made and shown once when absent',
});

export const WebhookInput = Type.Object(
  {
    type: Type.Literal('webhook'),
    url: Type.String({ pattern: '^https?://[^\\s/@]+(/\\S*)?$', maxLength: 1000 }),
    secret: Type.Optional(WebhookSecret),
    authorization: Type.Optional(
      Type.String({
        pattern: '^[\\x21-\\x7e]+( [\\x21-\\x7e]+)*$',
        maxLength: 1000,
        description: 'header of this name; write-only',
      }),
    ),
    authority: Authority,
    events: Events,
    enabled: Enabled,
  },
  Strict,
);

const Address = Type.String({ pattern: '^[^\\s@<>",;:\\\\]{1,64}@[A-Za-z0-9.-]{1,253}$', maxLength: 320 });
export const EmailInput = Type.Object(
  {
    type: Type.Literal('email'),
    to: Type.Array(Address, { minItems: 1, maxItems: 32 }),
    events: Events,
    enabled: Enabled,
  },
  Strict,
);

export const MqttInput = Type.Object(
  {
    type: Type.Literal('mqtt'),
    url: Type.String({ pattern: '^mqtts?://[^\\s/@]+$', maxLength: 1000 }),
    topic: Type.String({ pattern: '^[^+#\\u0000]+$', maxLength: 256 }),
    qos: Type.Optional(Type.Union([Type.Literal(0), Type.Literal(1)], { default: 1 })),
    retain: Type.Optional(Type.Boolean({ default: false })),
    username: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    password: Type.Optional(Type.String({ maxLength: 512, description: 'write-only' })),
    authority: Authority,
    events: Events,
    enabled: Enabled,
  },
  Strict,
);

export const ChannelInput = Type.Union([WebhookInput, EmailInput, MqttInput]);
export type ChannelInput = Static<typeof ChannelInput>;
export type ChannelType = ChannelInput['type'];
export const ChannelName = RuleName;

/** What of a channel is no secret. */
export type ChannelSettings =
  | { type: 'webhook'; url: string; authority?: string }
  | { type: 'email'; to: string[] }
  | {
      type: 'mqtt';
      url: string;
      topic: string;
      qos: 0 | 1;
      retain: boolean;
      username?: string;
      authority?: string;
    };

/** What is kept encrypted. */
export interface ChannelSecrets {
  signingKey?: string;
  authorization?: string;
  password?: string;
}

/** `failed`: given up, after its last attempt or because its channel was switched off for too long. */
export type DeliveryState = 'pending' | 'delivered' | 'failed';

export interface DeliveryAttempt {
  at: string;
  /** HTTP status or SMTP reply code; null where the other side said nothing. */
  status: number | null;
  latencyMs: number;
  /** Null: it went through. */
  error: string | null;
}

/** How one attempt went. */
export type SendResult =
  | { ok: true; status: number | null }
  | {
      ok: false;
      code: SendFault;
      status: number | null;
      error: string;
    };

export const SEND_FAULTS = [
  'TARGET_FORBIDDEN',
  'TARGET_UNRESOLVED',
  'TARGET_UNREACHABLE',
  'TARGET_UNTRUSTED',
  'TARGET_TIMEOUT',
  'TARGET_REFUSED',
  'SMTP_NOT_CONFIGURED',
  'SECRET_UNREADABLE',
] as const;
export type SendFault = (typeof SEND_FAULTS)[number];

export interface OutgoingDelivery {
  /** Unique and the same at every attempt: receivers drop what they have seen. */
  id: string;
  kind: string;
  body: Record<string, unknown>;
}

/** Carries one delivery to where a channel leads. Never throws. */
export type Send = (
  settings: ChannelSettings,
  secrets: ChannelSecrets,
  delivery: OutgoingDelivery,
) => Promise<SendResult>;

import { isIP } from 'node:net';
import { type Static, Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;
const Whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });
const File = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4000, description }));

/** docs/notifications.md */
const Smtp = Type.Object(
  {
    url: Type.String({
      pattern: '^smtps?://[^\\s/@]+$',
      maxLength: 500,
      description: 'mail server: smtps://host:465, or smtp://host:587, which must offer STARTTLS',
    }),
    plain: Type.Boolean({ default: false, description: 'smtp:// without TLS; loopback only' }),
    from: Type.String({
      minLength: 3,
      maxLength: 320,
      pattern: '^[^\\r\\n]+@[^\\r\\n]+$',
      description: 'sender of the mails',
    }),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 320, description: 'name for the mail server' })),
    passwordFile: Type.Optional(Type.String({ minLength: 1, maxLength: 4000, description: 'file with its password' })),
    caFile: File("authority of the mail server's certificate, PEM; the system's when absent"),
  },
  { ...Strict, description: 'without it there are no mail channels' },
);

/** The section `notifications`: docs/notifications.md */
export const NotificationConfig = Type.Object(
  {
    smtp: Type.Optional(Smtp),
    privateTargets: Type.Array(
      Type.String({
        pattern: '^([0-9.]+/([0-9]|[12][0-9]|3[0-2])|[0-9A-Fa-f:]+/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$',
      }),
      {
        default: [],
        maxItems: 64,
        description: 'private networks that webhooks and brokers of channels may lie in, such as 10.1.0.0/16',
      },
    ),
    scanSeconds: Whole(15, 1, 3600, 'alert rules are held against the fleet so often, s'),
    timeoutSeconds: Whole(10, 1, 120, 'time for one attempt of a delivery, s'),
    giveUpHours: Whole(24, 1, 720, 'a delivery is tried for so long, hours'),
    disableAfterHours: Whole(72, 1, 2160, 'a channel to which nothing came through for so long is switched off, hours'),
    retentionDays: Whole(90, 1, 3650, 'cleared alerts and done deliveries are kept for so long, days'),
  },
  { ...Strict, default: {} },
);
export type NotificationConfig = Static<typeof NotificationConfig>;

/** What the schema cannot say; null: it is fine. */
export function notificationProblem({ smtp, privateTargets }: NotificationConfig): string | null {
  const wrong = privateTargets.find((network) => isIP(network.split('/')[0]) === 0);
  if (wrong !== undefined)
    return `notifications.privateTargets: "${wrong}" is no network; write one such as 10.1.0.0/16`;
  if (smtp === undefined) return null;
  const host = new URL(smtp.url).hostname;
  if (smtp.plain && !/^(localhost|\[::1\]|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/.test(host))
    return `notifications.smtp.plain: "${smtp.url}" is beyond loopback; leave it out`;
  if ((smtp.user === undefined) !== (smtp.passwordFile === undefined))
    return 'notifications.smtp: user and passwordFile belong together; name both or neither';
  return null;
}

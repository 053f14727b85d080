import { randomUUID, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrustFact } from '../alerts/trust-observations.js';
import { parts } from '../data-folder-wiring.js';
import { AlertFactsRepository } from '../io/database/alert-facts-repository.js';
import { AlertRepository } from '../io/database/alert-repository.js';
import { ChannelRepository } from '../io/database/channel-repository.js';
import { DeliveryRepository } from '../io/database/delivery-repository.js';
import { MqttSender } from '../io/mqtt-sender.js';
import { SecretKeyFile } from '../io/secret-key-file.js';
import { SmtpSender } from '../io/smtp-sender.js';
import { TargetGuard } from '../io/target-guard.js';
import { LIFETIME_MS } from '../io/tuf/bodies.js';
import { webhookSender } from '../io/webhook-sender.js';
import type { SignedMetadata } from '../ports.js';
import { alertRoutes } from '../routes/alert-routes.js';
import { channelRoutes } from '../routes/channel-routes.js';
import { AlertingService } from '../services/alerting.js';
import type { SendResult } from '../services/channel.js';
import { ChannelService } from '../services/channels.js';
import { type DeliveringParts, DeliveringService } from '../services/delivering.js';
import type { Core, Feature } from './feature-wiring.js';

const FOLLOW_MS = 2000;
const PRUNE_MS = 600_000;

/** Alerts, and the channels by which people and programs hear of them. */
export async function wireNotifications(core: Core): Promise<Feature> {
  const { config, database, activity, now, log } = core;
  const { notifications } = config;
  const alerts = new AlertRepository(database);
  const rows = new ChannelRepository(database);
  const deliveries = new DeliveryRepository(database);
  const box = await SecretKeyFile.open(join(config.data.directory, 'notification-key'));
  const channels = new ChannelService(rows, box, now);
  const facts = new AlertFactsRepository(database.ranked('background'));
  const alerting = new AlertingService({
    ...{ database, activity, alerts, channels: rows, deliveries, facts, now, log },
    ...{ trust: () => trustFacts(core), retentionDays: notifications.retentionDays },
  });
  const senders = await openSenders(core);
  const delivering = new DeliveringService({
    ...{ channels: rows, deliveries, activity, secretsOf: channels.secretsOf, send: senders.send, now, log },
    ...{ random: Math.random, timeoutMs: notifications.timeoutSeconds * 1000 },
    ...{ giveUpHours: notifications.giveUpHours, disableAfterHours: notifications.disableAfterHours },
  });
  return {
    routes: (app) => {
      alertRoutes(app, { alerts, channels: rows, now, changed: () => core.wake('alert-scan') });
      channelRoutes(app, { channels, deliveries, now, random: randomUUID, due: () => core.wake('deliveries') });
    },
    duties: [
      {
        name: 'alerts',
        everyMs: FOLLOW_MS,
        run: async () => {
          await alerting.follow();
          await alerting.notify();
        },
      },
      {
        name: 'alert-scan',
        everyMs: notifications.scanSeconds * 1000,
        run: async () => {
          await alerting.scan();
          core.wake('alerts');
        },
      },
      { name: 'deliveries', everyMs: FOLLOW_MS, run: () => delivering.run() },
      { name: 'notification-retention', everyMs: PRUNE_MS, run: () => alerting.prune() },
    ],
    close: async () => {
      delivering.stop();
      await senders.close();
    },
  };
}

async function openSenders({ config, now }: Core): Promise<{ send: DeliveringParts['send']; close(): Promise<void> }> {
  const { smtp, privateTargets, timeoutSeconds } = config.notifications;
  const timeoutMs = timeoutSeconds * 1000;
  const guard = new TargetGuard(privateTargets);
  const webhook = webhookSender({ guard, timeoutMs, now, userAgent: 'vigie-server' });
  const mqtt = new MqttSender(guard, timeoutMs, 'vigie-notices');
  const mail =
    smtp === undefined
      ? null
      : new SmtpSender({
          ...{ url: smtp.url, plain: smtp.plain, from: smtp.from, user: smtp.user, timeoutMs },
          password: smtp.passwordFile === undefined ? undefined : (await readFile(smtp.passwordFile, 'utf8')).trimEnd(),
          authority: smtp.caFile === undefined ? undefined : await readFile(smtp.caFile, 'utf8'),
        });
  const noMail: SendResult = {
    ...{ ok: false, code: 'SMTP_NOT_CONFIGURED', status: null },
    error: 'this server sends no mail; set notifications.smtp in its configuration',
  };
  return {
    send: async (channel, settings, secrets, delivery) => {
      if (settings.type === 'webhook') return webhook(settings, secrets, delivery);
      if (settings.type === 'mqtt') return mqtt.send(channel, settings, secrets, delivery);
      return mail === null ? noMail : mail.send(settings, delivery);
    },
    close: async () => {
      mail?.close();
      await mqtt.close();
    },
  };
}

/** Ends of what the server itself stands on. */
async function trustFacts({ tuf, config }: Core): Promise<TrustFact[]> {
  const newest = new Map<string, SignedMetadata>();
  for (const one of tuf.metadata()) if (one.version >= (newest.get(one.role)?.version ?? 0)) newest.set(one.role, one);
  const roles = [...newest.values()].map(({ role, bytes }) => {
    const { signed } = JSON.parse(bytes.toString()) as { signed: { expires: string } };
    return { name: `tuf/${role}`, endsAt: new Date(signed.expires), lifetimeMs: LIFETIME_MS[role] };
  });
  const authority = await readFile(join(parts(config.data.directory).pki, 'authority.pem'), 'utf8');
  return [
    ...roles,
    { name: 'pki/authority', endsAt: new Date(new X509Certificate(authority).validTo), lifetimeMs: null },
  ];
}

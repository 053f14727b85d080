import { createTransport, type Transporter } from 'nodemailer';
import { mailOf } from '../alerts/mail.js';
import type { ChannelSettings, OutgoingDelivery, SendResult } from '../services/channel.js';
import { describeFault } from './webhook-sender.js';

export interface SmtpSenderOptions {
  /** `smtps://host:465`, or `smtp://host:587`, which must offer STARTTLS unless `plain`. */
  url: string;
  plain: boolean;
  user?: string;
  password?: string;
  /** Authority of the server's certificate, PEM. */
  authority?: string;
  from: string;
  timeoutMs: number;
}

/** Mail by one SMTP server. */
export class SmtpSender {
  readonly #transport: Transporter;

  constructor(private readonly options: SmtpSenderOptions) {
    const { url, plain, user, password, authority, timeoutMs } = options;
    const { protocol, hostname, port } = new URL(url);
    const secure = protocol === 'smtps:';
    this.#transport = createTransport({
      ...{ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (secure ? 465 : 587)), secure },
      ...{ requireTLS: !secure && !plain, ignoreTLS: plain, disableFileAccess: true, disableUrlAccess: true },
      ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
      ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
      ...(authority === undefined ? {} : { tls: { ca: authority } }),
    });
  }

  readonly send = async (
    { to }: ChannelSettings & { type: 'email' },
    delivery: OutgoingDelivery,
  ): Promise<SendResult> => {
    const { subject, text } = mailOf(delivery.kind, delivery.body);
    const messageId = `<${delivery.id}@${this.options.from.split('@').at(-1)?.replace(/>$/, '')}>`;
    try {
      await this.#transport.sendMail({
        ...{ from: this.options.from, to, subject, text, messageId },
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Vigie-Kind': delivery.kind },
      });
      return { ok: true, status: 250 };
    } catch (error) {
      const { responseCode, message } = error as { responseCode?: number; message: string };
      if (responseCode !== undefined)
        return { ok: false, code: 'TARGET_REFUSED', status: responseCode, error: message.slice(0, 300) };
      return { ok: false, status: null, ...describeFault(error as NodeJS.ErrnoException, this.options.timeoutMs) };
    }
  };

  close(): void {
    this.#transport.close();
  }
}

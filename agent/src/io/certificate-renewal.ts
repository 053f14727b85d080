import { Value } from '@sinclair/typebox/value';
import { DeviceCertificate } from '@vigie/protocol';
import type { Clock } from '../ports.js';
import type { Log } from '../update/ports.js';
import { waitAfterFailure, waitForRenewal } from '../update/renewal-schedule.js';
import type { FleetHttps } from './fleet-https.js';
import { type CurrentIdentity, certificateFault, validityOf } from './identity.js';

export interface CertificateRenewalOptions {
  current: CurrentIdentity;
  https: FleetHttps;
  clock: Pick<Clock, 'after'>;
  /** Time by which the certificate is judged, ms since 1970. */
  now: () => number;
  log: Log;
  random?: () => number;
}

/** The server did not give a certificate, or gave one that is not to be used. */
export class RenewalError extends Error {
  override readonly name = 'RenewalError';
  /** The server's code of a refusal, or `ANSWER_INVALID`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Gets the next certificate in time, each with a new key. The answer is checked, then written as a whole, then used: the
 * old certificate counts until the new one was used once, so a crash at any point leaves one that is good.
 */
export class CertificateRenewal {
  readonly #options: Required<CertificateRenewalOptions>;
  readonly #stop = new AbortController();
  #cancel = () => {};
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #spread: number;

  constructor(options: CertificateRenewalOptions) {
    this.#options = { random: Math.random, ...options };
    this.#spread = this.#options.random();
  }

  start(): void {
    const { current, now } = this.#options;
    const wait = waitForRenewal(validityOf(current.value.certificate), this.#spread, now());
    this.#arm(wait);
  }

  async stop(): Promise<void> {
    this.#cancel();
    this.#stop.abort(new RenewalError('STOPPED', 'the agent ends'));
    await this.#running;
  }

  /** Renews now. Throws RenewalError, FleetHttpsError, or an error of the disk; the present identity then stays. */
  async renew(): Promise<void> {
    const { current, https, log } = this.#options;
    const { deviceId, certificate } = current.value;
    const { makeKeyAndRequest } = await import('./certificate-request.js');
    const { privateKey, csr } = await makeKeyAndRequest(deviceId);
    const { status, body } = await https.request('/api/v1/renew', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ csr }),
      maxBytes: 65_536,
      signal: this.#stop.signal,
    });
    const answer = parse(body);
    if (status !== 200) {
      const { code, detail } = (answer ?? {}) as { code?: unknown; detail?: unknown };
      throw new RenewalError(String(code ?? `HTTP_${status}`), String(detail ?? `status ${status}`).slice(0, 300));
    }
    const problem = Value.Errors(DeviceCertificate, answer).First();
    if (problem !== undefined) throw new RenewalError('ANSWER_INVALID', `${problem.path}: ${problem.message}`);
    const next = answer as DeviceCertificate;
    const fault = certificateFault(next, deviceId, privateKey);
    if (fault !== null) throw new RenewalError('ANSWER_INVALID', fault);
    if (validityOf(next.certificate).to <= validityOf(certificate).to)
      throw new RenewalError('ANSWER_INVALID', 'the new certificate does not last longer than the present one');
    await current.replaceCertificate(next, privateKey);
    log.info({ until: new Date(validityOf(next.certificate).to).toISOString() }, 'the certificate was renewed');
    // Its first use: the server lets go of the old one. A failure does no harm, the next connection is a use too.
    await https
      .request('/api/v1/identity', { maxBytes: 65_536, signal: this.#stop.signal })
      .catch((error: Error) => log.warn({ err: error.message }, 'the renewed certificate was not used yet'));
  }

  #arm(wait: number): void {
    this.#cancel = this.#options.clock.after(wait, () => {
      this.#running = this.#turn();
    });
  }

  async #turn(): Promise<void> {
    const { current, now, log, random } = this.#options;
    const wait = waitForRenewal(validityOf(current.value.certificate), this.#spread, now());
    if (wait > 0) return this.#arm(wait);
    try {
      await this.renew();
      this.#failures = 0;
      this.#spread = random();
      this.start();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#failures += 1;
      const { code, message } = error as { code?: string; message: string };
      const again = waitAfterFailure(this.#failures, random());
      log.warn({ code, err: message, waitMs: again }, 'the certificate could not be renewed; the present one is kept');
      this.#arm(again);
    }
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

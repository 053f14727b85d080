import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from './config.js';

describe('parseConfig', () => {
  it('fills every default from nothing', () => {
    expect(parseConfig(undefined, 'x')).toMatchObject({
      data: { directory: 'vigie-data' },
      replica: {},
      database: { connections: 10, slowStatementMs: 1000, startupSeconds: 60, statementTimeoutSeconds: 30 },
      objects: { region: 'us-east-1' },
      http: { host: '127.0.0.1', port: 8080 },
      https: { host: '127.0.0.1', port: 8443 },
      mqtt: { host: '127.0.0.1', port: 1883, maxConnections: 1000 },
      mqtts: { host: '127.0.0.1', port: 8883, maxConnections: 20_000 },
      tls: { names: [], deviceDays: 365, renewalGraceDays: 30 },
      gates: { secondPerson: true, release: 'automatic', resultsPerRelease: 2000, labTimeoutSeconds: 900 },
      access: {
        ...{ sessionIdleMinutes: 60, sessionHours: 12, loginFailures: 5, lockoutMinutes: 5, scryptLogN: 15 },
        ...{ requestsPerSecond: 100, requestBurst: 1000, anonymousPerSecond: 200, anonymousBurst: 2000 },
        ...{ refusedBurst: 60, streams: 200, trustedProxies: [] },
      },
      registry: { policy: 'gates', garbageGraceHours: 24 },
      upload: {
        ...{ maxBytes: 268_435_456, verifyTimeoutSeconds: 120, verifyMemoryMiB: 1536 },
        ...{ maxOpen: 16, expiryHours: 24 },
      },
      notifications: {
        ...{ privateTargets: [], timeoutSeconds: 10, giveUpHours: 24, disableAfterHours: 72 },
        ...{ retentionDays: 90, scanSeconds: 15 },
      },
      retention: { reports: 200, telemetry: 2000, events: 10_000, replies: 200, snapshots: 500 },
      log: { level: 'info' },
    });
  });

  it('keeps what is given, at both ends of a range', () => {
    const config = parseConfig(
      { http: { port: 0, publicUrl: 'https://fleet.example' }, mqtt: { port: 65_535, host: '::1' } },
      'x',
    );
    expect([config.http.port, config.http.publicUrl, config.mqtt.port, config.mqtt.host]).toEqual([
      0,
      'https://fleet.example',
      65_535,
      '::1',
    ]);
  });

  it('names file, field, value and way out in one line', () => {
    const message = (document: unknown) => {
      try {
        parseConfig(document, 'server.yaml');
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as Error).message).not.toContain('\n');
        return (error as Error).message;
      }
      return 'accepted';
    };
    expect(message({ http: { port: 65_536 } })).toBe(
      'server.yaml: http.port: 65536 is not a whole number in 0..65535 (TCP port; 0 takes a free one); set one, or leave it out for 8080',
    );
    expect(message({ retention: { event: 1 } })).toBe(
      'server.yaml: retention.event: unknown key (value 1); remove it or correct its spelling',
    );
    expect(message({ mqtts: { publicUrl: 'mqtt://x' } })).toMatch(
      /^server\.yaml: mqtts\.publicUrl: "mqtt:\/\/x" is not string like/,
    );
    expect(message({ http: { host: '192.168.1.5' } })).toMatch(
      /beyond loopback, and http is without TLS; keep 127\.0\.0\.1 and set https\.host/,
    );
    expect(message({ http: { host: '127.0.0.1.evil.example' } })).toMatch(/beyond loopback/);
    expect(message({ https: { host: '0.0.0.0' }, mqtts: { host: '::' }, tls: { names: ['fleet.example'] } })).toBe(
      'accepted',
    );
    expect(message({ tls: { names: ['not a name'] } })).toMatch(/^server\.yaml: tls\.names\.0:/);
    const proxies = (...trustedProxies: string[]) => message({ access: { trustedProxies } });
    expect(proxies('127.0.0.1', '10.1.0.0/16', 'fd00::/8')).toBe('accepted');
    for (const one of ['proxy.example', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '1.2.3'])
      expect(proxies('::1', one)).toMatch(/^server\.yaml: access\.trustedProxies\.1: .* is no address or network; use/);
    for (const one of ['0.0.0.0/0', '::/0', '128.0.0.0/1']) expect(proxies(one)).toMatch(/half the world/);
    expect(message([])).toMatch(/^server\.yaml: \(whole document\)/);
  });

  it('takes an external broker by TLS, and wants to know how boards reach it', () => {
    const broker = { url: 'mqtts://broker.example:8884' };
    const mqtts = { publicUrl: 'mqtts://broker.example:8883' };
    expect(parseConfig({ mqtt: { broker }, mqtts }, 'x').mqtt.broker).toEqual({
      ...broker,
      ...{ alternatives: [], clientId: 'vigie-server' },
    });
    const refused = (document: unknown) => expect(() => parseConfig(document, 'x'));
    const plain = { ...broker, alternatives: ['mqtt://other.example'] };
    refused({ mqtt: { broker: plain }, mqtts }).toThrow(/^x: mqtt\.broker\.alternatives\[0\]: .*without TLS/);
    refused({ mqtt: { broker } }).toThrow(/^x: mqtts\.publicUrl: is missing/);
    refused({ mqtt: { broker: { url: 'mqtt://broker.example' } }, mqtts }).toThrow(/without TLS; use mqtts/);
    refused({ mqtt: { broker: { ...broker, certFile: 'a.pem' } }, mqtts }).toThrow(/belong together/);
    refused({ mqtt: { broker: { ...broker, clientId: 'board-1' } }, mqtts }).toThrow(/^x: mqtt\.broker\.clientId/);
    refused({ mqtt: { broker: { ...broker, password: 'x' } }, mqtts }).toThrow(/unknown key/);
    expect(parseConfig({ mqtt: { broker: { url: 'mqtt://127.0.0.1:1883' } }, mqtts }, 'x').mqtt.broker?.url).toContain(
      '127',
    );
  });
});

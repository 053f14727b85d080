import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, documentedDefaults, environmentName, loadConfig } from './config.js';

const folder = mkdtempSync(join(tmpdir(), 'vigie-config-'));
let count = 0;

function load(text: string, environment: Record<string, string> = {}) {
  count += 1;
  const file = join(folder, `${count}.yaml`);
  writeFileSync(file, text);
  return loadConfig(file, environment);
}

function refusal(text: string, environment: Record<string, string> = {}): { code: string; message: string } {
  try {
    load(text, environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { code, message } = error as ConfigError;
    expect(message).not.toContain('\n');
    return { code, message };
  }
  throw new Error('accepted');
}

describe('loadConfig', () => {
  it('fills in defaults', () => {
    expect(load('source: {url: a.mp4}')).toMatchObject({
      source: { url: 'a.mp4', pacing: 'realtime', loop: false, lossless: false },
      http: { host: '127.0.0.1', port: 8081, token: '' },
      camera: { viewWidth: 1280 },
    });
  });

  it('makes unpaced files lossless', () => {
    expect(load('source: {url: a.mp4, pacing: unpaced}').source.lossless).toBe(true);
  });

  it('lets the environment override the file, typed', () => {
    const environment = { VIGIE_HTTP_PORT: '9000', VIGIE_CAMERA_VIEW_WIDTH: '320', VIGIE_SOURCE_LOOP: 'true' };
    const config = load('source: {url: a.mp4}\nhttp: {port: 1}', { ...environment, VIGIE_ENROLL_TOKEN: 'x' });
    expect([config.http.port, config.camera.viewWidth, config.source.loop]).toEqual([9000, 320, true]);
    expect(loadConfig(null, { VIGIE_SOURCE_URL: 'b.mp4' }).source.url).toBe('b.mp4');
  });

  it.each([
    ['source: {url: a, pacin: realtime}', 'UNKNOWN_KEY', 'source.pacin', 'source.pacing'],
    ['source: {url: a}\nhtpp: {}', 'UNKNOWN_KEY', 'htpp', 'http'],
    ['source: {url: a}\nhttp: {port: "80a"}', 'BAD_VALUE', 'http.port: "80a"', 'an integer from 0 to 65535'],
    ['source: {url: a}\ncamera: {fps: -1}', 'BAD_VALUE', 'camera.fps: -1', 'from 0 to 120 frames/s'],
    ['source: {url: a}\nsource2: 3', 'UNKNOWN_KEY', 'source2', 'source'],
    ['source: {url: a, pacing: slow}', 'BAD_VALUE', 'source.pacing: "slow"', '"realtime", "unpaced"'],
    ['source: {url: a}\nlog: {level: loud}', 'BAD_VALUE', 'log.level: "loud"', '"info"'],
    ['source: {url: 7}', 'BAD_VALUE', 'source.url', 'text'],
    ['source: [1]', 'BAD_VALUE', 'source', 'vigie-agent config'],
    ['', 'MISSING_VALUE', 'source.url', '/dev/videoN'],
    ['source: {url: a, loop: true, exitAtEnd: true}', 'CONFLICT', 'source.exitAtEnd', 'source.loop'],
    ['source: {url: a\n', 'NOT_YAML', 'line', 'YAML'],
    ['just text', 'NOT_YAML', 'sections', 'vigie-agent config'],
  ])('refuses %j in one line', (text, code, field, wayOut) => {
    const { code: actual, message } = refusal(text);
    expect(actual).toBe(code);
    expect(message).toContain(field);
    expect(message).toContain(wayOut);
  });

  it('refuses wrong variables too', () => {
    expect(refusal('source: {url: a}', { VIGIE_HTTP_PROT: '1' })).toMatchObject({
      code: 'UNKNOWN_KEY',
      message: expect.stringContaining('VIGIE_HTTP_PORT'),
    });
    expect(refusal('source: {url: a}', { VIGIE_HTTP_PORT: 'many' }).code).toBe('BAD_VALUE');
  });

  it('refuses a missing file and never repeats a secret', () => {
    expect(() => loadConfig(join(folder, 'nowhere.yaml'), {})).toThrow(/nowhere\.yaml.*ENOENT.*vigie-agent config/);
    expect(refusal('source: {url: a}\nhttp: {token: tooshort}').message).not.toContain('tooshort');
  });
});

describe('documentedDefaults', () => {
  it('is itself a configuration, once the source is set', () => {
    const text = documentedDefaults().replace('# url: models', 'url: models');
    const documented = load(text);
    expect(documented).toEqual(load('source: {url: models/media/yard.mp4}'));
    expect(text).toContain(environmentName('camera', 'viewWidth'));
  });
});

import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config.js';
import { publicationDuties } from './replica-wiring.js';

describe('the duty that keeps an external broker right', () => {
  const published: (readonly string[])[] = [];
  const asked: number[] = [];
  const publication = { reconcile: async (ids: readonly string[]) => void published.push(ids) };
  const devices = {
    unconfirmed: async (limit: number) => {
      asked.push(limit);
      return ['board-1', 'board-2'];
    },
  };
  const dutiesOf = (document: object) => publicationDuties(parseConfig(document, 'test'), publication, devices);

  it('is none of a server with a broker of its own', () => {
    expect(dutiesOf({})).toEqual([]);
  });

  it('publishes anew what boards have not confirmed', async () => {
    const [duty, ...others] = dutiesOf({
      ...{ mqtt: { broker: { url: 'mqtt://127.0.0.1:1883' } }, mqtts: { publicUrl: 'mqtts://broker.example:8883' } },
    });
    expect([duty.name, others]).toEqual(['publication', []]);
    await duty.run();
    expect(published).toEqual([['board-1', 'board-2']]);
    expect(asked[0]).toBeGreaterThanOrEqual(100);
  });
});

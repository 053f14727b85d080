import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.js';
import { Watchdog } from './watchdog.js';

function setUp() {
  const clock = new ManualClock();
  let barks = 0;
  const dog = new Watchdog(clock, 1000, () => {
    barks += 1;
  });
  dog.start();
  return { clock, dog, barks: () => barks };
}

describe('Watchdog', () => {
  it('barks once after silence', () => {
    const { clock, barks } = setUp();
    clock.advance(999);
    expect(barks()).toBe(0);
    clock.advance(5000);
    expect(barks()).toBe(1);
  });

  it('is quiet while it is fed, or held', () => {
    const { clock, dog, barks } = setUp();
    for (let step = 0; step < 10; step += 1) {
      clock.advance(600);
      dog.feed();
    }
    dog.hold(true);
    clock.advance(10_000);
    dog.hold(false);
    clock.advance(900);
    expect(barks()).toBe(0);
    clock.advance(200);
    expect(barks()).toBe(1);
  });

  it('is quiet once stopped', () => {
    const { clock, dog, barks } = setUp();
    dog.stop();
    clock.advance(10_000);
    expect(barks()).toBe(0);
  });
});

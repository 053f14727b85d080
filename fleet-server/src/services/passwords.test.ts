import { describe, expect, it } from 'vitest';
import { passwordFault } from './password-rules.js';
import { Passwords, PasswordsBusyError } from './passwords.js';

const cheap = { N: 2 ** 10, r: 8, p: 1 };

describe('passwords', () => {
  it('are hashed with their own salt and parameters, and checked by these', async () => {
    const passwords = new Passwords(cheap);
    const [one, two] = [await passwords.hash('Grüße aus dem Turm'), await passwords.hash('Grüße aus dem Turm')];
    expect(one).toMatch(/^scrypt\$1024\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    expect(one).not.toBe(two);
    // Composed or not: it looks the same.
    expect(await passwords.verify('Grüße aus dem Turm'.normalize('NFD'), one)).toBe(true);
    expect(await passwords.verify('grüße aus dem turm', one)).toBe(false);
    expect(await passwords.verify('anything', null)).toBe(false);
    for (const broken of ['', 'scrypt$1024$8$1$x', 'x'.repeat(100)])
      expect(await passwords.verify('anything', broken)).toBe(false);
    const dearer = new Passwords({ N: 2 ** 11, r: 8, p: 1 });
    expect(await dearer.verify('Grüße aus dem Turm', one)).toBe(true);
    expect([dearer.isOutdated(one), passwords.isOutdated(one)]).toEqual([true, false]);
  });

  it('are hashed a few at a time; who would wait too long is sent away', async () => {
    const passwords = new Passwords(cheap);
    const results = await Promise.allSettled(Array.from({ length: 60 }, () => passwords.hash('a long enough phrase')));
    const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every(({ reason }) => reason instanceof PasswordsBusyError)).toBe(true);
    expect(results.length - refused.length).toBeGreaterThanOrEqual(30);
    expect(await passwords.hash('a long enough phrase')).toContain('scrypt$');
  });

  it('have rules that say in one line what is wrong', () => {
    const good = ['correct horse battery', 'zK4!qpx9Ld2w', 'Übermäßige Vorsicht', '    spaces count    x'];
    for (const password of good) expect([password, passwordFault(password, 'anna')]).toEqual([password, null]);
    const bad = ['elevenchars', 'Password!2026', 'abcdefghijklm', '987654321098', 'aabbaabbaabb', 'annaannaanna!'];
    for (const password of bad) {
      expect([password, passwordFault(password, 'anna')]).toEqual([password, expect.stringMatching(/^password: /)]);
      expect(passwordFault(password, 'anna')).not.toContain(password);
    }
  });
});

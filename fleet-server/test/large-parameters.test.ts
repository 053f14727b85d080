import { rm } from 'node:fs/promises';
import { LARGE_PARAMETERS } from '@vigie/fleet-server/io/database/large-parameters';
import { PgliteDatabase } from '@vigie/fleet-server/io/database/pglite-database';
import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { temporaryFolder } from './until.js';

it('keeps texts and documents as they are, whichever way they go', async () => {
  const folder = await temporaryFolder();
  const database = await PgliteDatabase.open(`${folder}/database`, (error) => {
    throw error;
  });
  try {
    for (const length of [0, 1, 511, 512, 100_000]) {
      const text = 'aé€😀"\\\n'
        .repeat(length)
        .slice(0, length)
        .replace(/[\uD800-\uDBFF]$/, 'x');
      const document = JSON.stringify({ text, list: [1, null, { deep: text }] });
      const [row] = (await database.drizzle.execute(sql`
        select ${text}::text as text, ${document}::json as json, ${document}::jsonb as jsonb, ${null}::jsonb as none,
          octet_length(${text}::text) as bytes`)) as unknown as Record<string, unknown>[];
      expect(row).toEqual({
        ...{ text, json: JSON.parse(document), jsonb: JSON.parse(document), none: null },
        bytes: Buffer.byteLength(text),
      });
    }
  } finally {
    await database.close();
    await rm(folder, { recursive: true, force: true });
  }
});

it('sends large ones as bytes', () => {
  const [small, large] = ['"a"', JSON.stringify('a'.repeat(1000))];
  for (const serialize of Object.values(LARGE_PARAMETERS)) {
    expect(serialize(small)).toBe(small);
    expect(serialize(large)).toBeInstanceOf(Buffer);
  }
  expect(Object.keys(LARGE_PARAMETERS)).toHaveLength(3);
});

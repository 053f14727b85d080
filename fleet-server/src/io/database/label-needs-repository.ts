import { sql } from 'drizzle-orm';
import type { NeededLabels } from '../../registry/label-contract.js';
import type { LabelNeeds } from '../../services/label-guard.js';
import type { Database } from './database.js';

/** Labels that the wanted configurations of boards name: of interest, or in a rule. */
export class LabelNeedsRepository implements LabelNeeds {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async neededLabels(deviceIds?: readonly string[]): Promise<NeededLabels> {
    const some =
      deviceIds === undefined
        ? sql`true`
        : sql`devices.id in (select jsonb_array_elements_text(${JSON.stringify(deviceIds)}::jsonb))`;
    const rows = (await this.#database.drizzle.execute(sql`
      select named.label, jsonb_agg(distinct devices.id) as boards
      from devices
      cross join lateral (
        select jsonb_array_elements_text(coalesce(desired -> 'configuration' -> 'labels', '[]')) as label
        union
        select jsonb_array_elements_text(coalesce(rule -> 'labels', '[]'))
        from jsonb_array_elements(coalesce(desired -> 'configuration' -> 'rules', '[]')) as rule
      ) as named
      where devices.desired ? 'configuration' and devices.revoked_at is null and ${some}
      group by named.label`)) as unknown as { label: string; boards: string[] }[];
    return new Map(rows.map(({ label, boards }) => [label, boards]));
  }
}

import { type TSchema, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion } from '@vigie/protocol';

/** What answers look like, by `METHOD path`: for the OpenAPI document, and held against real answers in the tests. */
export type Answers = Readonly<
  Record<string, { response?: Readonly<Record<number, TSchema>>; produces?: string; summary?: string }>
>;

/** A time; on the wire as text. */
export const At = Type.String({ description: 'ISO 8601, UTC' });
export const Text = Type.String();
export const Count = Type.Integer({ minimum: 0 });
export const Flag = Type.Boolean();
export const Nothing = Type.Null();
export const Document = Type.Record(Text, Type.Unknown());
export const Counts = Type.Record(Text, Count);
export const Figures = Type.Record(Text, Type.Number());

export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const oneOf = (names: readonly string[]) => Type.Union(names.map((name) => Type.Literal(name)));
/** A list that is not read in pages. */
export const listOf = (item: TSchema) => Type.Object({ items: Type.Array(item) });

export const ReleaseName = Type.Object({ name: ModelName, version: SemanticVersion });
export const VerdictName = oneOf(['pass', 'fail', 'inconclusive']);

/** The same answer under several statuses. */
export const answer = (schema: TSchema, ...statuses: readonly number[]) => ({
  response: Object.fromEntries((statuses.length === 0 ? [200] : statuses).map((status) => [status, schema])),
});
export const gone = { response: { 204: Nothing } };

/** Keys with the prefix of the API. */
export function underApi(answers: Answers): Answers {
  return Object.fromEntries(
    Object.entries(answers).map(([route, described]) => [route.replace(' /', ' /api/v1/'), described]),
  );
}

import { type Static, Type } from '@sinclair/typebox';
import { Sha256 } from '@vigie/protocol';

/** What `vigie-server tuf sign` writes, `tuf accept` and `POST /api/v1/tuf/signatures` take: signatures made where the keys are. */
export const OfferedSignatures = Type.Object(
  {
    signatures: Type.Array(
      Type.Object(
        {
          role: Type.Union([Type.Literal('root'), Type.Literal('targets')]),
          version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
          keyid: Sha256,
          /** Ed25519, hex. */
          sig: Type.String({ pattern: '^[0-9a-f]{128}$' }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 32 },
    ),
  },
  { additionalProperties: false },
);
export type OfferedSignatures = Static<typeof OfferedSignatures>;

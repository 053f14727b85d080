import { Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;

/** How packages become releases (docs/registry.md). */
export const RegistryConfig = Type.Object(
  {
    policy: Type.Union([Type.Literal('default'), Type.Literal('gates')], {
      default: 'default',
      description:
        'default: a verified package is released at once, certified for the classes it names; gates: it stays a candidate until gates certify it',
    }),
    garbageGraceHours: Type.Integer({
      default: 24,
      minimum: 1,
      maximum: 8760,
      description: 'bytes that nothing refers to are deleted after this, h',
    }),
  },
  { ...Strict, default: {} },
);

import { Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;
const Whole = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description });

/** docs/gates.md */
export const GatesConfig = Type.Object(
  {
    secondPerson: Type.Boolean({
      default: true,
      description: 'an override of a gate counts only when somebody else than who asked for it approves it',
    }),
    release: Type.Union([Type.Literal('automatic'), Type.Literal('manual')], {
      default: 'automatic',
      description: 'what follows when gates certify a release: it is released at once, or when a publisher says so',
    }),
    resultsPerRelease: Whole(2000, 1, 100_000, 'benchmark results kept per release; more are refused'),
    labTimeoutSeconds: Whole(900, 30, 86_400, 'a lab board that gave no result by then is given up, s'),
  },
  { ...Strict, default: {} },
);

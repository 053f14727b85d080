import { type Static, Type } from '@sinclair/typebox';

const Strict = { additionalProperties: false } as const;

/** How packages become releases (docs/registry.md). */
export const RegistryConfig = Type.Object(
  {
    policy: Type.Union([Type.Literal('default'), Type.Literal('gates')], {
      default: 'gates',
      description:
        'gates: a verified package stays a candidate until gates certify it; default: it is released at once, unmeasured, for the classes it names',
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

const File = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 4000, description }));

/** An MLflow tracking server: models come from it, and what happens to them is written back. */
export const MlflowConfig = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://[^\\s/@]+(/[^\\s]*)?$',
      maxLength: 500,
      description: 'the tracking server, such as https://mlflow.example; without credentials',
    }),
    tokenFile: File('file with a token that is sent as "Authorization: Bearer"'),
    username: Type.Optional(Type.String({ pattern: '^[^:\\s]{1,200}$', description: 'for HTTP basic authentication' })),
    passwordFile: File('file with the password of username'),
    timeoutSeconds: Type.Integer({
      default: 60,
      minimum: 1,
      maximum: 3600,
      description: 'one request to it, the download of a file included, s',
    }),
    logBack: Type.Boolean({
      default: true,
      description: 'write benchmark results, verdicts, promotions and rollouts of imported releases to their runs',
    }),
  },
  Strict,
);

/** What the schema alone cannot say; null: nothing is wrong. */
export function mlflowProblem({ tokenFile, username, passwordFile }: Static<typeof MlflowConfig>): string | null {
  if ((username === undefined) !== (passwordFile === undefined)) {
    return 'mlflow: username and passwordFile belong together; name both or neither';
  }
  if (tokenFile !== undefined && username !== undefined) {
    return 'mlflow: tokenFile and username are two ways to say who asks; name one of them';
  }
  return null;
}

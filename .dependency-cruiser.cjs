/**
 * The import rules of the house (docs/design.md, section 2). test/import-rules.test.ts plants forbidden imports and
 * expects each rule by its name, so that this file cannot fall silent.
 *
 * A workspace is reached in three ways: by a relative path into its src/, by its package name once it is built (which
 * resolves to its dist/), and by its package name when it is not built (then the name itself is all that is known).
 */
const folders = {
  protocol: 'agent/protocol',
  agent: 'agent',
  models: 'models',
  server: 'fleet-server',
  benchmarks: 'benchmarks',
};
const packages = {
  protocol: 'protocol',
  agent: 'agent',
  models: 'models',
  server: 'fleet-server',
  benchmarks: 'benchmarks',
};
const anyOf = (...names) =>
  names
    .map(
      (name) =>
        `^${folders[name]}/(src|dist|test)/|^@vigie/${packages[name]}(/|$)|node_modules/@vigie/${packages[name]}(/|$)`,
    )
    .join('|');

const tests = '\\.test\\.ts$|/test/';
const pure =
  '^(agent/protocol/src/|agent/src/(vision|update)/|fleet-server/src/(registry|gates|rollout|devices|alerts)/|models/src/runtime/(?!onnx-session|tfjs-|load-model))';
/** Programs (and the parts of their command line) put adapters together; nobody else names one. */
const compositionRoots = '(main|cli|[a-z-]+-cli|[a-z-]+-command|[a-z-]+-wiring)\\.ts$';

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'not-to-unresolvable',
      comment:
        'Our own packages resolve only once they are built; whether they may be imported is said by the rules below.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@vigie/' },
    },
    {
      name: 'protocol-imports-no-one',
      severity: 'error',
      from: { path: '^agent/protocol/src/' },
      to: { path: anyOf('agent', 'models', 'server', 'benchmarks') },
    },
    {
      name: 'models-import-only-protocol',
      severity: 'error',
      from: { path: '^models/src/' },
      to: { path: anyOf('agent', 'server', 'benchmarks') },
    },
    {
      name: 'agent-never-imports-server-or-benchmarks',
      severity: 'error',
      from: { path: '^agent/src/' },
      to: { path: anyOf('server', 'benchmarks') },
    },
    {
      name: 'server-never-imports-agent-or-benchmarks',
      severity: 'error',
      from: { path: '^fleet-server/src/' },
      to: { path: anyOf('agent', 'benchmarks') },
    },
    {
      name: 'benchmarks-never-import-server',
      severity: 'error',
      from: { path: '^benchmarks/src/' },
      to: { path: anyOf('server') },
    },
    {
      name: 'pure-code-does-no-io',
      comment: 'I/O, clocks and randomness come as arguments. node:crypto is allowed: hashing and signing are pure.',
      severity: 'error',
      from: { path: pure, pathNot: tests },
      to: {
        path: '/io/|^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster|timers|os|process|readline|stream)(/|$)',
      },
    },
    {
      name: 'pure-code-uses-no-adapter-library',
      severity: 'error',
      from: { path: pure, pathNot: tests },
      to: {
        path: '(^|node_modules/)(mqtt|ws|sharp|pino|fluent-ffmpeg|tuf-js|onnxruntime-node|@tensorflow|aedes|fastify|@electric-sql/pglite|drizzle-orm|fflate)(/|$)|models/(src/|dist/)?runtime/(onnx-session|tfjs-|load-model)',
      },
    },
    {
      name: 'only-main-names-adapters',
      severity: 'error',
      from: { path: '^agent/src/', pathNot: `/io/|${compositionRoots}|${tests}` },
      to: { path: '^agent/src/io/' },
    },
    {
      name: 'only-main-makes-adapters',
      comment:
        'The server speaks to its repositories by their types; which database they stand on is decided in main.ts.',
      severity: 'error',
      from: { path: '^fleet-server/src/', pathNot: `/io/|${compositionRoots}|${tests}` },
      to: { path: '^fleet-server/src/io/', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    exclude: { path: 'dashboard/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};

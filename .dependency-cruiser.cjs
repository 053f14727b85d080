/**
 * The import rules of the house (docs/design.md, section 2). A test plants a forbidden import and expects a failure,
 * so that this file cannot fall silent.
 */
const pure =
  '^(agent/protocol/src/|agent/src/(vision|update)/|fleet-server/src/(registry|gates|rollout|devices)/|models/src/runtime/(?!onnx-session))';
const tests = '\\.test\\.ts$|/test/';

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
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'protocol-imports-no-one',
      severity: 'error',
      from: { path: '^agent/protocol/src/' },
      to: { path: '^(agent/src|models|fleet-server|benchmarks)/' },
    },
    {
      name: 'models-import-only-protocol',
      severity: 'error',
      from: { path: '^models/src/', pathNot: tests },
      to: { path: '^(agent/src|fleet-server|benchmarks)/' },
    },
    {
      name: 'agent-never-imports-server-or-benchmarks',
      severity: 'error',
      from: { path: '^agent/src/' },
      to: { path: '^(fleet-server|benchmarks)/' },
    },
    {
      name: 'server-never-imports-agent-or-benchmarks',
      severity: 'error',
      from: { path: '^fleet-server/src/' },
      to: { path: '^(agent/src|benchmarks)/' },
    },
    {
      name: 'benchmarks-never-import-server',
      severity: 'error',
      from: { path: '^benchmarks/src/' },
      to: { path: '^fleet-server/' },
    },
    {
      name: 'pure-code-does-no-io',
      comment: 'I/O, clocks and randomness come as arguments. node:crypto is allowed in protocol: hashing and signing are pure.',
      severity: 'error',
      from: { path: pure, pathNot: tests },
      to: {
        path: '/io/|^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|timers|os|process|readline|stream)(/|$)',
      },
    },
    {
      name: 'pure-code-uses-no-adapter-library',
      severity: 'error',
      from: { path: pure, pathNot: tests },
      to: { path: 'node_modules/(mqtt|ws|sharp|pino|fluent-ffmpeg|tuf-js|onnxruntime-node|aedes|fastify|@electric-sql|drizzle-orm)' },
    },
    {
      name: 'only-main-names-adapters',
      comment: 'Outside io/, only the composition roots (main, cli, and the child process entry) may import an adapter.',
      severity: 'error',
      from: { path: '^agent/src/', pathNot: `^agent/src/(io/|main\\.ts|cli\\.ts|enroll-command\\.ts|doctor-command\\.ts)|${tests}` },
      to: { path: '^agent/src/io/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    exclude: { path: '/dist/|dashboard/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};

import { type Static, type TObject, Type } from '@sinclair/typebox';
import { DeviceId } from '@vigie/protocol';

const Strict = { additionalProperties: false } as const;

/** A section: absent means all defaults. */
function section<P extends Parameters<typeof Type.Object>[0]>(title: string, properties: P) {
  return Type.Object(properties, { ...Strict, title });
}

/** Everything a board can be told. Each field: title, unit where it has one, default, range. Unknown keys are refused. */
export const ConfigSchema = Type.Object(
  {
    device: section('Device', {
      hardwareClass: Type.String({
        title: 'Hardware class',
        description: 'What the board calls itself when it is not enrolled; empty: found from device tree and memory.',
        pattern: '^[a-z0-9-]{0,64}$',
        default: '',
      }),
      id: Type.Union([DeviceId, Type.Literal('')], {
        title: 'Device id',
        description: 'Must equal the enrolled id when both are given; empty: the enrolled one.',
        default: '',
      }),
    }),
    data: section('Data', {
      directory: Type.String({
        title: 'Data directory',
        description: 'Identity, model slots, journals. Overridden by --data.',
        minLength: 1,
        default: '/var/lib/vigie-agent',
      }),
    }),
    source: section('Source', {
      url: Type.String({
        title: 'Source',
        description: 'A video file, rtsp://..., http://... (MJPEG) or /dev/videoN. Required.',
        minLength: 1,
        maxLength: 2000,
      }),
      pacing: Type.Union([Type.Literal('realtime'), Type.Literal('unpaced')], {
        title: 'Pacing of files',
        description: 'realtime: at their own rate; unpaced: as fast as the detector takes frames (implies lossless).',
        default: 'realtime',
      }),
      loop: Type.Boolean({ title: 'Loop', description: 'Start a file again at its end, for ever.', default: false }),
      lossless: Type.Boolean({
        title: 'Lossless',
        description: 'Hold a file instead of dropping frames when the detector is busy.',
        default: false,
      }),
      exitAtEnd: Type.Boolean({
        title: 'Exit at the end',
        description: 'End the agent (exit 0) after the last frame of a file that does not loop.',
        default: false,
      }),
    }),
    camera: section('Camera', {
      fps: Type.Number({
        title: 'Frame rate limit',
        description: 'Frames per second at the most; 0: as the source.',
        unit: 'frames/s',
        minimum: 0,
        maximum: 120,
        default: 0,
      }),
      viewWidth: Type.Integer({
        title: 'View width',
        description: 'Largest width of the picture that viewers see; the height follows.',
        unit: 'pixels',
        minimum: 160,
        maximum: 3840,
        default: 1280,
      }),
      stallSeconds: Type.Number({
        title: 'Stall',
        description: 'Silence after which capture is started again.',
        unit: 's',
        minimum: 2,
        maximum: 600,
        default: 20,
      }),
    }),
    model: section('Model', {
      directory: Type.String({
        title: 'Model',
        description:
          'Folder of an unpacked package to start with. Empty: an enrolled board waits for its first release, a board ' +
          'without a fleet takes the model that comes with the agent.',
        default: '',
      }),
      threads: Type.Integer({
        title: 'Inference threads',
        description: 'Threads inside one operator.',
        unit: 'threads',
        minimum: 1,
        maximum: 16,
        default: 1,
      }),
      timeoutSeconds: Type.Number({
        title: 'Inference timeout',
        description: 'A child that does not answer a frame by then is killed and started again.',
        unit: 's',
        minimum: 1,
        maximum: 120,
        default: 10,
      }),
      spare: Type.Boolean({
        title: 'Spare child',
        description:
          'Keep one more inference process without a model (about 60 MB), so that a new model is live sooner. Only on an ' +
          'enrolled board with memory to spare.',
        default: true,
      }),
    }),
    detect: section('Detection', {
      threshold: Type.Number({
        title: 'Threshold',
        description: 'Score from which a detection counts fully; 0: the default of the package.',
        minimum: 0,
        maximum: 1,
        default: 0,
      }),
    }),
    http: section('HTTP', {
      host: Type.String({
        title: 'Address',
        description: 'Beyond loopback only together with a token.',
        minLength: 1,
        maxLength: 255,
        default: '127.0.0.1',
      }),
      port: Type.Integer({
        title: 'Port',
        description: '0: any free one.',
        minimum: 0,
        maximum: 65_535,
        default: 8081,
      }),
      token: Type.String({
        title: 'Token',
        description: 'Asked of every request; empty: none. Better in VIGIE_HTTP_TOKEN than in a file.',
        pattern: '^(.{16,200})?$',
        default: '',
      }),
      jpegQuality: Type.Integer({
        title: 'JPEG quality',
        description: 'Of the MJPEG stream and snapshots.',
        minimum: 20,
        maximum: 100,
        default: 80,
      }),
    }),
    delivery: section('Downloads', {
      transport: Type.Union([Type.Literal('auto'), Type.Literal('mqtt'), Type.Literal('https')], {
        title: 'Transport',
        description: 'How models come. auto: as the fleet says, else by MQTT and by HTTPS when that stalls.',
        default: 'auto',
      }),
      maxKibPerSecond: Type.Integer({
        title: 'Rate limit',
        description: '0: none. The fleet may ask for less, never for more.',
        unit: 'KiB/s',
        minimum: 0,
        maximum: 1_000_000,
        default: 0,
      }),
      dataBudgetMib: Type.Integer({
        title: 'Data budget',
        description: 'Downloads of one calendar month (UTC), what was thrown away included; 0: no limit.',
        unit: 'MiB',
        minimum: 0,
        maximum: 1_000_000,
        default: 0,
      }),
      metered: Type.Boolean({
        title: 'Metered',
        description: 'Each byte costs: a download that stalls waits for its own way and tries no other.',
        default: false,
      }),
      stallSeconds: Type.Integer({
        title: 'Stall',
        description:
          'Silence of the line after which chunks are asked for again, and after some more another way is tried.',
        unit: 's',
        minimum: 2,
        maximum: 600,
        default: 20,
      }),
    }),
    telemetry: section('Telemetry', {
      intervalSeconds: Type.Number({
        title: 'Interval',
        description: 'Between two telemetry messages.',
        unit: 's',
        minimum: 1,
        maximum: 3600,
        default: 10,
      }),
    }),
    log: section('Log', {
      level: Type.Union(
        (['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const).map((level) => Type.Literal(level)),
        { title: 'Level', description: 'Least important messages that are written to stderr.', default: 'info' },
      ),
    }),
  },
  Strict,
);
export type Config = Static<typeof ConfigSchema>;

/** Sections by name, for walking. */
export const SECTIONS = ConfigSchema.properties as unknown as Readonly<Record<string, TObject>>;

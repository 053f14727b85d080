import { type Static, Type } from '@sinclair/typebox';
import { ModelName, Precision, SemanticVersion, Sha256, TrialPolicy } from '@vigie/protocol';
import { DecoderSpec } from '../runtime/decoders/registry.js';

const Strict = { additionalProperties: false } as const;
const Score = Type.Number({ minimum: 0, maximum: 1 });

/** How pixels become the tensor a model wants. */
export const InputSpec = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    width: Type.Integer({ minimum: 16, maximum: 4096 }),
    height: Type.Integer({ minimum: 16, maximum: 4096 }),
    layout: Type.Union([Type.Literal('NCHW'), Type.Literal('NHWC')]),
    color: Type.Union([Type.Literal('RGB'), Type.Literal('BGR')]),
    dtype: Type.Union([Type.Literal('float32'), Type.Literal('uint8')]),
    /** Subtracted from each channel (in the order of `color`), in pixel units 0..255. */
    mean: Type.Optional(Type.Array(Type.Number(), { minItems: 3, maxItems: 3 })),
    /** Divides each channel after `mean`. */
    std: Type.Optional(Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 3, maxItems: 3 })),
    resize: Type.Union([Type.Literal('letterbox'), Type.Literal('stretch')]),
    /** Fill value of a letterbox's border, 0..255. */
    pad: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
    /**
     * What the model wants beside the picture, by the name of the input: PaddleDetection's `scale_factor: [1, 1]` and `im_shape`,
     * D-FINE's `orig_target_sizes`. Values are those of a picture of the input's size; type and shape are the model's.
     */
    constants: Type.Optional(
      Type.Record(
        Type.String({ minLength: 1, maxLength: 200 }),
        Type.Array(Type.Number(), { minItems: 1, maxItems: 16 }),
        {
          maxProperties: 8,
        },
      ),
    ),
    /** Where a letterbox's picture stands; center when absent. YOLOX pads right and below: top-left. */
    anchor: Type.Optional(Type.Union([Type.Literal('center'), Type.Literal('top-left')])),
  },
  Strict,
);
export type InputSpec = Static<typeof InputSpec>;

/** A frame with what the model must find in it on any board, within a tolerance. */
export const GoldenFrame = Type.Object(
  {
    /** Path of a JPEG or PNG inside the package. */
    file: Type.String({ minLength: 1, maxLength: 200 }),
    /** Expected detections at `thresholds.default`; boxes 0..1 of the frame. */
    detections: Type.Array(
      Type.Object({ label: Type.String(), score: Score, box: Type.Array(Score, { minItems: 4, maxItems: 4 }) }, Strict),
      { maxItems: 300 },
    ),
    tolerance: Type.Object(
      {
        /** Largest allowed difference of a score. */
        score: Score,
        /** Smallest allowed IoU of matched boxes. */
        iou: Score,
      },
      Strict,
    ),
  },
  Strict,
);
export type GoldenFrame = Static<typeof GoldenFrame>;

/** `manifest.yaml` of a package (docs/design.md, section 10). Unknown keys are refused. */
export const Manifest = Type.Object(
  {
    name: ModelName,
    version: SemanticVersion,
    task: Type.Union([Type.Literal('detect'), Type.Literal('classify')]),
    /** Path of a text file, one label a line. */
    labels: Type.String({ minLength: 1, maxLength: 200 }),
    license: Type.String({ minLength: 1, maxLength: 100 }),
    provenance: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 2000 }))),
    model: Type.Object(
      {
        file: Type.String({ minLength: 1, maxLength: 200 }),
        engine: Type.Union([Type.Literal('onnx'), Type.Literal('tfjs')]),
        precision: Precision,
        sha256: Sha256,
      },
      Strict,
    ),
    input: InputSpec,
    decoder: DecoderSpec,
    thresholds: Type.Object(
      { default: Score, perClass: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Score)) },
      Strict,
    ),
    nms: Type.Object(
      {
        iou: Score,
        perClass: Type.Boolean(),
        maxDetections: Type.Integer({ minimum: 1, maximum: 1000 }),
        /** Only the best so many candidates take part; 4096 when absent. A low threshold must not stall a board. */
        maxCandidates: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
      },
      Strict,
    ),
    metrics: Type.Optional(
      Type.Array(
        Type.Record(Type.String({ maxLength: 64 }), Type.Union([Type.String({ maxLength: 500 }), Type.Number()])),
        { maxItems: 64 },
      ),
    ),
    golden: Type.Array(GoldenFrame, { minItems: 1, maxItems: 32 }),
    requires: Type.Optional(
      Type.Object(
        {
          agent: Type.Optional(SemanticVersion),
          hardwareClasses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 })),
        },
        Strict,
      ),
    ),
    /** Thresholds by which a board judges this release while it is on trial, where they differ from the defaults. */
    trial: Type.Optional(Type.Partial(TrialPolicy, Strict)),
  },
  Strict,
);
export type Manifest = Static<typeof Manifest>;

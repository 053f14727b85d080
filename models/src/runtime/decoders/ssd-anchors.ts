import { type Static, Type } from '@sinclair/typebox';
import type { DecoderProblem } from './strides.js';

const Strict = { additionalProperties: false } as const;
const Share = Type.Number({ exclusiveMinimum: 0, maximum: 16 });
const GridSize = Type.Integer({ minimum: 1, maximum: 512 });

/** Exactly one way to say where the anchors stand. */
export const SsdAnchors = Type.Object(
  {
    /**
     * The anchor generator of TensorFlow's SSD (`ssd_anchor_generator` in a pipeline.config, same meanings and defaults).
     * `grids`: rows and columns of each feature map; found from the input and strides of 16, 32, 64, 128, 256, 512 when absent.
     */
    generate: Type.Optional(
      Type.Object(
        {
          grids: Type.Optional(
            Type.Array(Type.Array(GridSize, { minItems: 2, maxItems: 2 }), { minItems: 1, maxItems: 16 }),
          ),
          minScale: Type.Optional(Share),
          maxScale: Type.Optional(Share),
          /** One per layer, instead of steps from `minScale` to `maxScale`. */
          scales: Type.Optional(Type.Array(Share, { minItems: 1, maxItems: 16 })),
          aspectRatios: Type.Optional(Type.Array(Share, { minItems: 1, maxItems: 16 })),
          /** Aspect ratio of the anchor between two layers' scales; 0: none. */
          interpolatedScaleAspectRatio: Type.Optional(Type.Number({ minimum: 0, maximum: 16 })),
          reduceBoxesInLowestLayer: Type.Optional(Type.Boolean()),
        },
        Strict,
      ),
    ),
    /** Feature maps with the sizes of the anchors (height, width; 0..1 of the frame) that stand in the centre of each cell. */
    grids: Type.Optional(
      Type.Array(
        Type.Object(
          {
            rows: GridSize,
            columns: GridSize,
            sizes: Type.Array(Type.Array(Share, { minItems: 2, maxItems: 2 }), { minItems: 1, maxItems: 64 }),
          },
          Strict,
        ),
        { minItems: 1, maxItems: 16 },
      ),
    ),
    /** Every anchor: centre y, centre x, height, width; 0..1 of the frame. */
    list: Type.Optional(
      Type.Array(Type.Array(Type.Number(), { minItems: 4, maxItems: 4 }), { minItems: 1, maxItems: 20_000 }),
    ),
  },
  { ...Strict, minProperties: 1, maxProperties: 1 },
);
export type SsdAnchors = Static<typeof SsdAnchors>;
type Generate = NonNullable<SsdAnchors['generate']>;

const STRIDES = [16, 32, 64, 128, 256, 512];
/** A bound on memory; an SSD of 4096 × 4096 pixels has 330,000. */
const MAX_ANCHORS = 500_000;

/** What the schema cannot say: lists that do not go together, and more anchors than any model has. */
export function ssdAnchorProblem(
  spec: SsdAnchors,
  frame: { width: number; height: number },
): DecoderProblem | undefined {
  const { generate } = spec;
  const layers = generate?.grids?.length ?? STRIDES.length;
  if (generate?.scales !== undefined && generate.scales.length !== layers) {
    return {
      field: 'anchors.generate.scales',
      problem: `${generate.scales.length} scales do not go with ${layers} feature maps; give one per map`,
    };
  }
  const grids = spec.grids ?? (generate === undefined ? [] : generateGrids(generate, frame.width, frame.height));
  const anchors = grids.reduce((sum, { rows, columns, sizes }) => sum + rows * columns * sizes.length, 0);
  if (anchors <= MAX_ANCHORS) return undefined;
  return { field: 'anchors', problem: `${anchors} anchors exceed ${MAX_ANCHORS}; give the feature maps of the model` };
}

/**
 * The anchors of a model of `width` × `height` pixels, in the order of its outputs: layer by layer, row by row, cell by cell.
 * Four numbers each: centre y, centre x, height, width, 0..1 of the frame.
 */
export function makeSsdAnchors(spec: SsdAnchors, width: number, height: number): Float64Array {
  if (spec.list !== undefined) return Float64Array.from(spec.list.flat());
  const grids = spec.grids ?? generateGrids(spec.generate ?? {}, width, height);
  const anchors: number[] = [];
  for (const { rows, columns, sizes } of grids) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (const size of sizes) anchors.push((row + 0.5) / rows, (column + 0.5) / columns, size[0], size[1]);
      }
    }
  }
  return Float64Array.from(anchors);
}

/**
 * `create_ssd_anchors` and `MultipleGridAnchorGenerator` of the TensorFlow Object Detection API
 * (github.com/tensorflow/models, research/object_detection/anchor_generators/multiple_grid_anchor_generator.py).
 */
function generateGrids(spec: Generate, width: number, height: number): NonNullable<SsdAnchors['grids']> {
  const grids = spec.grids ?? STRIDES.map((stride) => [Math.ceil(height / stride), Math.ceil(width / stride)]);
  const { minScale = 0.2, maxScale = 0.95, aspectRatios = [1, 2, 1 / 2, 3, 1 / 3] } = spec;
  const between = spec.interpolatedScaleAspectRatio ?? 1;
  const steps = Math.max(1, grids.length - 1);
  const scales = [...(spec.scales ?? grids.map((_, layer) => minScale + ((maxScale - minScale) * layer) / steps)), 1];
  // Anchors are square in pixels, not in shares of the frame: the shorter side is the unit.
  const shorter = Math.min(width, height);
  return grids.map(([rows, columns], layer) => {
    const scale = scales[Math.min(layer, scales.length - 1)];
    const next = scales[Math.min(layer + 1, scales.length - 1)];
    const shapes: [scale: number, ratio: number][] =
      layer === 0 && (spec.reduceBoxesInLowestLayer ?? true)
        ? [
            [0.1, 1],
            [scale, 2],
            [scale, 1 / 2],
          ]
        : [
            ...aspectRatios.map((ratio): [number, number] => [scale, ratio]),
            ...(between > 0 ? [[Math.sqrt(scale * next), between] as [number, number]] : []),
          ];
    const sizes = shapes.map(([size, ratio]) => [
      ((size / Math.sqrt(ratio)) * shorter) / height,
      (size * Math.sqrt(ratio) * shorter) / width,
    ]);
    return { rows, columns, sizes };
  });
}

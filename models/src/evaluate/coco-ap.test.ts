import { describe, expect, it } from 'vitest';
import { type CocoPicture, evaluateCoco, linspace } from './coco-ap.js';
import type { CocoTruth, PixelBox } from './coco-match.js';

const truth = (box: PixelBox, more: Partial<CocoTruth> = {}): CocoTruth => ({
  category: 0,
  box,
  area: box[2] * box[3],
  ...more,
});
const found = (box: PixelBox, score: number, category = 0) => ({ category, box, score });
const evaluate = (...pictures: CocoPicture[]) => evaluateCoco(pictures, 1);

const HERE: PixelBox = [0, 0, 100, 100];
const THERE: PixelBox = [200, 200, 100, 100];

describe('evaluateCoco', () => {
  it('counts a box as right at each threshold that its overlap reaches', () => {
    // IoU 0.82: right at 0.50 to 0.80, seven of ten.
    const { summary } = evaluate({ truths: [truth(HERE)], detections: [found([0, 0, 100, 82], 0.9)] });
    expect(summary.ap).toBeCloseTo(0.7, 12);
    expect(summary.ap50).toBeCloseTo(1, 12);
    expect(summary.ap75).toBeCloseTo(1, 12);
    expect(summary.ar1).toBeCloseTo(0.7, 12);
  });

  it('gives the recall levels that are reached their precision, of 101', () => {
    const half = evaluate({ truths: [truth(HERE), truth(THERE)], detections: [found(HERE, 0.9)] });
    expect(half.summary.ap50).toBeCloseTo(51 / 101, 12);
    expect(half.summary.ar100).toBeCloseTo(0.5, 12);
    const alarmFirst = evaluate({ truths: [truth(HERE)], detections: [found(THERE, 0.9), found(HERE, 0.8)] });
    expect(alarmFirst.summary.ap50).toBeCloseTo(0.5, 12);
    const alarmLast = evaluate({ truths: [truth(HERE)], detections: [found(THERE, 0.7), found(HERE, 0.8)] });
    expect(alarmLast.summary.ap50).toBeCloseTo(1, 12);
  });

  it('counts a second box on one object as wrong', () => {
    const { summary, categories } = evaluate({
      truths: [truth(HERE), truth(THERE)],
      detections: [found(HERE, 0.9), found(HERE, 0.8), found(THERE, 0.7)],
    });
    // Recall to 0.5 at precision 1, from there at 2 of 3.
    expect(summary.ap50).toBeCloseTo((51 + (50 * 2) / 3) / 101, 12);
    expect([...categories[0].curve.falsePositives]).toEqual([0, 1, 1]);
  });

  it('leaves what lies in a crowd out, however often, by the share of the detection that is in it', () => {
    const crowd = truth([0, 0, 400, 400], { crowd: true });
    const { summary } = evaluate({
      truths: [crowd, truth([500, 500, 100, 100])],
      detections: [found(HERE, 0.9), found(THERE, 0.8), found([500, 500, 100, 100], 0.7)],
    });
    expect(summary.ap).toBeCloseTo(1, 12);
    expect(evaluate({ truths: [crowd], detections: [found(HERE, 0.9)] }).summary.ap).toBe(-1);
  });

  it('leaves one box on an object to be ignored out, and counts the next one', () => {
    const picture = {
      truths: [truth(HERE, { ignore: true }), truth(THERE)],
      detections: [found(HERE, 0.9), found(THERE, 0.7)],
    };
    expect(evaluate(picture).summary.ap).toBeCloseTo(1, 12);
    const twice = { ...picture, detections: [...picture.detections, found(HERE, 0.8)] };
    expect(evaluate(twice).summary.ap50).toBeCloseTo(0.5, 12);
  });

  it('sorts objects by their annotated area, both bounds included, and says -1 where there is nothing', () => {
    const { summary } = evaluate({ truths: [truth(HERE, { area: 1024 })], detections: [found(HERE, 0.9)] });
    expect([summary.apSmall, summary.apMedium].map((value) => Math.round(value))).toEqual([1, 1]);
    expect([summary.apLarge, summary.arLarge]).toEqual([-1, -1]);
  });

  it('looks at so many detections per picture and category only', () => {
    const picture = { truths: [truth(HERE)], detections: [found(THERE, 0.9), found(HERE, 0.8)] };
    expect(evaluate(picture).summary).toMatchObject({ ar1: 0, ar10: 1 });
    expect(evaluateCoco([picture], 1, { maxDetections: [1, 1, 1] }).summary).toMatchObject({ ap: 0, ar100: 0 });
  });

  it('keeps categories apart and means over those that have objects', () => {
    const picture: CocoPicture = {
      truths: [truth(HERE), truth(THERE, { category: 1 })],
      detections: [found(HERE, 0.9), found(THERE, 0.9, 2)],
    };
    const { summary, categories } = evaluateCoco([picture], 3);
    expect(categories.map(({ summary: own }) => Math.round(own.ap))).toEqual([1, 0, -1]);
    expect(summary.ap).toBeCloseTo(0.5, 12);
  });

  it('never counts an object of id 0 as found, as pycocotools does not', () => {
    const picture = (id: number): CocoPicture => ({ truths: [truth(HERE, { id })], detections: [found(HERE, 0.9)] });
    expect(evaluate(picture(0)).summary.ap).toBe(0);
    expect(evaluate(picture(7)).summary.ap).toBeCloseTo(1, 12);
  });

  it('takes another overlap for the curve', () => {
    const picture = { truths: [truth(HERE)], detections: [found([0, 0, 100, 40], 0.9)] };
    const at = (curveIou: number) => evaluateCoco([picture], 1, { curveIou }).categories[0].curve.truePositives[0];
    expect([at(0.3), at(0.5)]).toEqual([1, 0]);
  });

  it('gives figures for nothing at all', () => {
    expect(evaluateCoco([], 1).summary.ap).toBe(-1);
    expect(evaluateCoco([{ truths: [truth(HERE)], detections: [] }], 1).summary).toMatchObject({ ap: 0, ar100: 0 });
  });

  it.each([
    ['a score that is no number', { truths: [], detections: [found(HERE, Number.NaN)] }],
    ['an endless box', { truths: [truth([0, 0, Number.POSITIVE_INFINITY, 1])], detections: [] }],
    ['an area that is no number', { truths: [truth(HERE, { area: Number.NaN })], detections: [] }],
    ['a foreign category', { truths: [truth(HERE, { category: 1 })], detections: [] }],
    ['a category that is no index', { truths: [], detections: [found(HERE, 1, -1)] }],
  ])('refuses %s', (_, picture) => {
    expect(() => evaluate(picture)).toThrow(RangeError);
  });

  it('refuses settings that mean nothing', () => {
    expect(() => evaluateCoco([], 1, { maxDetections: [0, 10, 100] })).toThrow(RangeError);
    expect(() => evaluateCoco([], 1, { curveIou: Number.NaN })).toThrow(RangeError);
  });
});

describe('linspace', () => {
  it('has the rounding of numpy', () => {
    const thresholds = linspace(0.5, 0.95, 10);
    // numpy.linspace(.5, .95, 10)[[1, 3, 4, 8]] in full.
    expect([1, 3, 4, 8].map((index) => thresholds[index])).toEqual([0.55, 0.65, 0.7, 0.8999999999999999]);
    expect(thresholds[9]).toBe(0.95);
    expect(linspace(0, 1, 101)[35]).toBe(0.35000000000000003);
  });
});

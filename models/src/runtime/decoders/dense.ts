import { Type } from '@sinclair/typebox';
import { logit, sigmoid } from './candidate.js';

/**
 * What heads with many locations and one score per class have in common. Each location gives its best class at most
 * (the sources' "multi-label" is off), and the best among those that reach their own threshold: a class whose threshold is
 * high must not hide another.
 */

/** Whether the model's values are logits (`sigmoid`) or scores already (`none`). */
export const Activation = Type.Union([Type.Literal('none'), Type.Literal('sigmoid')]);
export type Activation = 'none' | 'sigmoid';

/** Boxes in pixels of the model's frame, or 0..1 of it. */
export const Units = Type.Union([Type.Literal('pixels'), Type.Literal('normalized')]);

/** Values that stand behind the classes of each location and are not read. */
export const ExtraColumns = Type.Integer({ minimum: 0, maximum: 1024 });

/** Takes a location that holds something. Called for few: the scan itself makes no objects. */
export type OnCandidate = (location: number, classId: number, score: number) => void;

/** Where the scores of a tensor stand: the first, and the distance from one location or class to the next. */
export interface ScorePlaces {
  start: number;
  locations: number;
  perLocation: number;
  perClass: number;
}

/** Scans heads without objectness: score = the class' own. */
export function makeClassScan(
  thresholds: readonly number[],
  activation: Activation,
): (data: Float32Array, places: ScorePlaces, found: OnCandidate) => void {
  // Compared as they come: an exponential only for what is kept.
  const lowest = Float64Array.from(thresholds, activation === 'sigmoid' ? logit : (threshold) => threshold);
  const classes = lowest.length;
  const leastOfAll = Math.min(...lowest);
  let bests = new Float64Array(0);
  let classIds = new Int32Array(0);

  const byLocation = (data: Float32Array, { start, locations, perLocation }: ScorePlaces, found: OnCandidate): void => {
    for (let location = 0; location < locations; location++) {
      const row = start + location * perLocation;
      let classId = -1;
      let best = -Infinity;
      for (let c = 0; c < classes; c++) {
        const value = data[row + c];
        if (!(value >= leastOfAll)) continue;
        if (value > best && value >= lowest[c]) {
          best = value;
          classId = c;
        }
      }
      if (classId >= 0) found(location, classId, activation === 'sigmoid' ? sigmoid(best) : best);
    }
  };

  // Class by class, as the memory lies: location by location it would be read in steps of thousands.
  const byClass = (data: Float32Array, { start, locations, perClass }: ScorePlaces, found: OnCandidate): void => {
    if (bests.length !== locations) {
      bests = new Float64Array(locations);
      classIds = new Int32Array(locations);
    }
    bests.fill(-Infinity);
    classIds.fill(-1);
    for (let c = 0; c < classes; c++) {
      const row = start + c * perClass;
      const least = lowest[c];
      for (let location = 0; location < locations; location++) {
        const value = data[row + location];
        if (value >= least && value > bests[location]) {
          bests[location] = value;
          classIds[location] = c;
        }
      }
    }
    for (let location = 0; location < locations; location++) {
      if (classIds[location] < 0) continue;
      const best = bests[location];
      found(location, classIds[location], activation === 'sigmoid' ? sigmoid(best) : best);
    }
  };

  return (data, places, found) => (places.perClass === 1 ? byLocation : byClass)(data, places, found);
}

/**
 * Scans heads with objectness, rows of 4 box values, objectness, a value per class and `extra` others: score = objectness × class.
 */
export function makeObjectnessScan(
  thresholds: readonly number[],
  activation: Activation,
  extra = 0,
): (data: Float32Array, found: OnCandidate) => void {
  const classes = thresholds.length;
  const columns = 5 + classes + extra;
  const lowest = Math.min(...thresholds);
  // No class can lift a location over the lowest threshold when its objectness alone does not reach it.
  const leastObjectness = activation === 'sigmoid' ? logit(lowest) : lowest;
  const activate = activation === 'sigmoid' ? sigmoid : (value: number): number => value;
  return (data, found) => {
    const locations = Math.floor(data.length / columns);
    for (let location = 0; location < locations; location++) {
      const row = location * columns;
      if (!(data[row + 4] >= leastObjectness)) continue;
      const objectness = activate(data[row + 4]);
      let classId = -1;
      let best = -Infinity;
      for (let c = 0; c < classes; c++) {
        const score = objectness * activate(data[row + 5 + c]);
        if (score > best && score >= thresholds[c]) {
          best = score;
          classId = c;
        }
      }
      if (classId >= 0) found(location, classId, best);
    }
  };
}

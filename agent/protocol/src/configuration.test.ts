import { Value } from '@sinclair/typebox/value';
import { describe, expect, it } from 'vitest';
import {
  configurationDigest,
  configurationProblem,
  DeviceConfiguration,
  neededLabels,
  StrictDeviceConfiguration,
} from './configuration.js';

const square = [
  [0.1, 0.1],
  [0.9, 0.1],
  [0.9, 0.9],
  [0.1, 0.9],
];
const good: DeviceConfiguration = {
  labels: ['person', 'car'],
  thresholds: { person: 0.6 },
  zones: [{ name: 'gate', polygon: square }],
  lines: [{ name: 'kerb', from: [0, 0.5], to: [1, 0.5] }],
  rules: [
    { name: 'loitering', zone: 'gate', minSeconds: 10, labels: ['person'] },
    { name: 'in', line: 'kerb', direction: 'left-to-right', labels: ['bicycle'] },
  ],
};

describe('configurations', () => {
  it('are refused with a code where they make no sense', () => {
    const code = (changes: DeviceConfiguration) => configurationProblem({ ...good, ...changes })?.code ?? null;
    expect(code({})).toBeNull();
    expect(configurationProblem({})).toBeNull();
    expect(code({ zones: [...good.zones!, { name: 'gate', polygon: square }] })).toBe('NAME_TWICE');
    expect(code({ rules: [{ name: 'a', zone: 'nowhere' }] })).toBe('PLACE_UNKNOWN');
    expect(code({ rules: [{ name: 'a', line: 'gate' }] })).toBe('PLACE_UNKNOWN');
    expect(code({ rules: [{ name: 'a', line: 'kerb', zone: 'gate' }] })).toBe('RULE_CONTRADICTORY');
    expect(code({ rules: [{ name: 'a', line: 'kerb', minSeconds: 2 }] })).toBe('RULE_CONTRADICTORY');
    expect(code({ rules: [{ name: 'a', zone: 'gate', direction: 'either' }] })).toBe('RULE_CONTRADICTORY');
    expect(code({ lines: [{ name: 'kerb', from: [0.5, 0.5], to: [0.5, 0.5] }] })).toBe('PLACE_EMPTY');
    expect(code({ zones: [{ name: 'gate', polygon: [square[0], square[1], square[0]] }] })).toBe('PLACE_EMPTY');
    const label = 'é'.repeat(64);
    const rules = Array.from({ length: 32 }, (_, index) => ({ name: `r${index}`, labels: Array(16).fill(label) }));
    expect(code({ rules })).toBe('TOO_LARGE');
  });

  it('name every label that they need once', () => {
    expect(neededLabels(good)).toEqual(['bicycle', 'car', 'person']);
    expect(neededLabels({})).toEqual([]);
  });

  it('have a digest that the order of keys does not change', () => {
    const turned = Object.fromEntries(Object.entries(good).reverse()) as DeviceConfiguration;
    expect(configurationDigest(turned)).toBe(configurationDigest(good));
    expect(configurationDigest({ ...good, labels: ['car', 'person'] })).not.toBe(configurationDigest(good));
  });

  it('pass over what a newer server adds on a board, and refuse it from an operator', () => {
    const newer = { ...good, zones: [{ ...good.zones![0], colour: 'red' }], future: 1 };
    expect(Value.Check(DeviceConfiguration, newer)).toBe(true);
    expect(Value.Check(StrictDeviceConfiguration, newer)).toBe(false);
    expect(Value.Check(StrictDeviceConfiguration, { ...good, future: 1 })).toBe(false);
    expect(Value.Check(StrictDeviceConfiguration, good)).toBe(true);
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, 0.5]));
    expect(Value.Check(StrictDeviceConfiguration, { thresholds: many })).toBe(false);
  });
});

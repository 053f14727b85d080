import { readFileSync } from 'node:fs';
import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { LineCounter, parseDocument, stringify } from 'yaml';
import { type Config, ConfigSchema, SECTIONS } from './config-schema.js';

export type { Config } from './config-schema.js';

export type ConfigErrorCode = 'FILE_MISSING' | 'NOT_YAML' | 'UNKNOWN_KEY' | 'BAD_VALUE' | 'MISSING_VALUE' | 'CONFLICT';

/** A configuration that is refused, in one line: field, value, way out. The program ends with exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: ConfigErrorCode;

  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;
type Sections = Record<string, Record<string, unknown>>;

/** Fields whose value must not be repeated in an error. */
const SECRET = new Set(['http.token', 'source.url']);
const HELP = 'see `vigie-agent config`';

/** Reads the file (null: none), lets the environment override it, fills in defaults. Throws ConfigError. */
export function loadConfig(file: string | null, environment: Environment): Config {
  const sections = file === null ? {} : parseConfigText(readText(file), file);
  return completeConfig(overrideFromEnvironment(sections, environment));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(
      'FILE_MISSING',
      `--config ${file}: cannot be read (${code}); write one with \`vigie-agent config > ${file}\` and set source.url`,
    );
  }
}

/** YAML text to sections of fields; only its shape is checked here. */
export function parseConfigText(text: string, file: string): Sections {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, maxAliasCount: 0 } as Parameters<typeof parseDocument>[1]);
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0]);
    const what = problem.message.split('\n')[0].replace(/ at line.*$/, '');
    throw new ConfigError('NOT_YAML', `${file}: line ${line}: ${what}; correct the YAML`);
  }
  const value: unknown = document.toJS() ?? {};
  if (!isRecord(value)) throw new ConfigError('NOT_YAML', `${file}: holds no sections such as "source:"; ${HELP}`);
  for (const [name, fields] of Object.entries(value)) {
    if (!Object.hasOwn(SECTIONS, name)) throw unknownKey(name, Object.keys(SECTIONS));
    if (fields === null) value[name] = {};
    else if (!isRecord(fields))
      throw new ConfigError('BAD_VALUE', `${name}: ${show(name, fields)} is no section of fields; ${HELP}`);
  }
  return value as Sections;
}

/** `VIGIE_<SECTION>_<FIELD>` wins over the file, e.g. VIGIE_HTTP_PORT, VIGIE_CAMERA_VIEW_WIDTH. */
function overrideFromEnvironment(sections: Sections, environment: Environment): Sections {
  const result: Sections = structuredClone(sections);
  for (const [name, text] of Object.entries(environment)) {
    const match = /^VIGIE_([A-Z]+)_([A-Z0-9_]+)$/.exec(name);
    const section = match?.[1].toLowerCase() ?? '';
    if (match === null || text === undefined || !Object.hasOwn(SECTIONS, section)) continue;
    const fields = Object.keys(SECTIONS[section].properties);
    const field = fields.find((candidate) => environmentName(section, candidate) === name);
    if (field === undefined)
      throw unknownKey(
        name,
        fields.map((candidate) => environmentName(section, candidate)),
      );
    result[section] = { ...result[section], [field]: fromText(text, SECTIONS[section].properties[field]) };
  }
  return result;
}

/** The environment variable of a field. */
export function environmentName(section: string, field: string): string {
  return `VIGIE_${section}_${field.replace(/[A-Z]/g, (letter) => `_${letter}`)}`.toUpperCase();
}

function fromText(text: string, schema: TSchema): unknown {
  if (schema.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (schema.type === 'integer' || schema.type === 'number') return text.trim() === '' ? text : Number(text);
  return text;
}

/** Defaults, schema, and what one field means for another. */
function completeConfig(sections: Sections): Config {
  const value: Sections = {};
  for (const name of Object.keys(SECTIONS)) value[name] = sections[name] ?? {};
  if (value.source.url === undefined) {
    throw new ConfigError(
      'MISSING_VALUE',
      'source.url: is missing; set it to a video file, rtsp://…, http://… or /dev/videoN',
    );
  }
  const complete = Value.Default(ConfigSchema, value);
  const problem = Value.Errors(ConfigSchema, complete).First();
  if (problem !== undefined) throw refusal(problem.path, problem.value, problem.schema);
  const config = complete as Config;
  if (config.source.pacing === 'unpaced') config.source.lossless = true;
  if (config.source.loop && config.source.exitAtEnd) {
    throw new ConfigError(
      'CONFLICT',
      'source.exitAtEnd: true never happens with source.loop: true; set one of them to false',
    );
  }
  return config;
}

function refusal(pointer: string, value: unknown, schema: TSchema): ConfigError {
  const path = pointer.slice(1).split('/');
  const [section, field] = path;
  const known = SECTIONS[section]?.properties ?? {};
  if (field !== undefined && !Object.hasOwn(known, field)) {
    return unknownKey(
      `${section}.${field}`,
      Object.keys(known).map((name) => `${section}.${name}`),
    );
  }
  const name = path.join('.');
  return new ConfigError(
    'BAD_VALUE',
    `${name}: ${show(name, value)} is refused; use ${allowed(known[field] ?? schema)}`,
  );
}

function unknownKey(name: string, known: readonly string[]): ConfigError {
  const nearest = [...known].sort((a, b) => distance(name, a) - distance(name, b))[0];
  const hint =
    nearest !== undefined && distance(name, nearest) <= 3
      ? `did you mean ${nearest}?`
      : `known are ${known.join(', ')}`;
  return new ConfigError('UNKNOWN_KEY', `${name}: is no known field; ${hint}`);
}

/** What a field may hold, in words. */
export function allowed(schema: TSchema): string {
  if (Array.isArray(schema.anyOf)) {
    const choices = schema.anyOf as TSchema[];
    return choices
      .map((choice) => (choice.const === undefined ? allowed(choice) : JSON.stringify(choice.const)))
      .join(', ');
  }
  if (schema.type === 'boolean') return 'true or false';
  const unit = schema.unit === undefined ? '' : ` ${schema.unit}`;
  if (schema.type === 'integer' || schema.type === 'number') {
    return `${schema.type === 'integer' ? 'an integer' : 'a number'} from ${schema.minimum} to ${schema.maximum}${unit}`;
  }
  return schema.pattern === undefined ? 'text' : `text like ${schema.pattern}`;
}

/** All fields with their defaults as YAML, each with what it means above it. */
export function documentedDefaults(): string {
  const lines = ['# Vigie agent. Every field can be overridden by the environment: VIGIE_<SECTION>_<FIELD>.'];
  for (const [name, section] of Object.entries(SECTIONS)) {
    lines.push('', `${name}:`);
    for (const [field, schema] of Object.entries(section.properties)) {
      const range = schema.pattern === undefined && schema.type !== 'string' ? ` Allowed: ${allowed(schema)}.` : '';
      lines.push(`  # ${schema.title}. ${schema.description ?? ''}${range} ${environmentName(name, field)}`);
      const value = schema.default === undefined ? '# required' : stringify(schema.default).trim();
      lines.push(schema.default === undefined ? `  # ${field}: models/media/yard.mp4` : `  ${field}: ${value}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function show(name: string, value: unknown): string {
  if (SECRET.has(name)) return 'the value given';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

import { resolve } from 'node:path';
import { ConfigError, parseConfig, readConfigFile, type ServerConfig } from './config.js';

/** What every command of the server that needs its settings takes. */
export interface ConfigOptions {
  config?: string;
  data?: string;
  httpPort?: number;
  httpsPort?: number;
  mqttPort?: number;
  mqttsPort?: number;
}

/** The configuration file with what the command line says on top. Throws ConfigError. */
export async function loadConfig(options: ConfigOptions): Promise<ServerConfig> {
  const given = options.config === undefined ? {} : ((await readConfigFile(options.config)) ?? {});
  const origin = options.config ?? 'command line';
  if (typeof given !== 'object' || Array.isArray(given))
    throw new ConfigError(`${origin}: holds no mapping; write keys such as "http:"`);
  const document = given as Record<string, Record<string, unknown>>;
  // What stands on the command line wins over the file. A section of the wrong type is left for the schema to refuse.
  const set = (section: string, key: string, value: unknown) => {
    const present = document[section] ?? {};
    if (value !== undefined && typeof present === 'object') document[section] = { ...present, [key]: value };
  };
  set('data', 'directory', options.data);
  set('http', 'port', options.httpPort);
  set('https', 'port', options.httpsPort);
  set('mqtt', 'port', options.mqttPort);
  set('mqtts', 'port', options.mqttsPort);
  const config = parseConfig(document, origin);
  config.data.directory = resolve(config.data.directory);
  return config;
}

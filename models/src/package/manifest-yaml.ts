import { isMap, isScalar, parseDocument, visit } from 'yaml';
import { excessOfYaml } from './yaml-bounds.js';

/** What a YAML text holds, as plain values, or why it is not read: one line without the field. */
export type YamlReading = { value: unknown } | { problem: string };

/**
 * Reads the plain part of YAML that a manifest needs: no anchors, aliases, tags or directives, one document, each key once.
 * Never throws; takes time and memory in proportion to the text.
 */
export function readYaml(text: string): YamlReading {
  const excess = excessOfYaml(text);
  if (excess !== null) return { problem: excess };
  try {
    // The library's own look for repeated keys compares every pair; ours below takes one pass.
    const document = parseDocument(text, { uniqueKeys: false, merge: false, logLevel: 'error' });
    const fault = document.errors[0];
    if (fault !== undefined) return { problem: `not valid YAML: ${fault.message.split('\n')[0]}` };
    let repeated: string | undefined;
    visit(document, {
      Map(_key, map) {
        const seen = new Set<string>();
        for (const { key } of map.items) {
          const name = isScalar(key) ? String(key.value) : '';
          if (!isScalar(key) || seen.has(name))
            repeated ??= isScalar(key) ? `key "${name}" stands twice` : 'a key is no text';
          seen.add(name);
        }
      },
    });
    if (repeated !== undefined) return { problem: `not valid YAML: ${repeated}` };
    if (!isMap(document.contents)) return { problem: 'no mapping of keys to values; start it with "name: ..."' };
    return { value: document.toJS({ maxAliasCount: 0 }) };
  } catch (error) {
    return { problem: `not valid YAML: ${(error as Error).message.split('\n')[0]}` };
  }
}

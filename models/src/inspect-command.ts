import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Guess } from './inspect/clues.js';
import { guessDecoders } from './inspect/guess.js';
import { manifestSkeleton, oneLine } from './inspect/manifest-skeleton.js';
import type { ModelFacts, TensorFacts } from './inspect/model-facts.js';
import { type InspectedModel, readModel } from './inspect/read-model.js';

interface Options {
  json?: boolean;
  manifest?: boolean;
  out?: string;
}

/** `vigie-models inspect MODEL` */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('say what a model file holds and which decoder would read it; the model is not run')
    .argument('<model>', 'an ONNX file, a TensorFlow.js model.json or its folder, a package folder or a .vigie file')
    .option(
      '--json',
      'print one JSON document: {file, bytes, sha256, engine, inputs, outputs, opset, producer, operators, parameters, ' +
        'precision, quantized, macs, metadata, labels, guesses: [{family, confidence, reason, labels, decoder, input}], package?}',
    )
    .option(
      '--manifest',
      'print a manifest.yaml for the likeliest decoder instead, with comments where a human must fill in',
    )
    .option('--out <file>', 'write the manifest there instead of printing it; an existing file is not replaced')
    .action(async (path: string, options: Options) => {
      const model = await readModel(path);
      const guesses = guessDecoders(model.facts);
      if (options.manifest || options.out !== undefined) {
        const text = manifestSkeleton({ ...model, guess: guesses[0] });
        if (options.out === undefined) process.stdout.write(text);
        else await writeFile(options.out, text, { flag: 'wx' });
        return;
      }
      if (options.json) console.log(JSON.stringify(asDocument(model, guesses)));
      else for (const line of asText(model, guesses)) console.log(oneLine(line));
    });
}

function asDocument({ facts, file, bytes, sha256, package: around }: InspectedModel, guesses: Guess[]): object {
  return {
    file,
    bytes,
    sha256,
    ...facts,
    guesses,
    ...(around && {
      package: {
        name: around.manifest.name,
        version: around.manifest.version,
        digest: around.digest,
        decoder: around.manifest.decoder,
        labels: around.labels.length,
      },
    }),
  };
}

function asText(model: InspectedModel, guesses: Guess[]): string[] {
  const { facts, package: around } = model;
  const lines = [
    `${model.file}: ${facts.engine}, ${facts.precision}, ${megabytes(model.bytes)}${facts.producer && `, made by ${facts.producer}`}`,
    ...(around
      ? [`package  ${around.manifest.name} ${around.manifest.version}, decoder ${around.manifest.decoder.type}`]
      : []),
    ...facts.inputs.map((tensor) => `input    ${describe(tensor)}`),
    ...facts.outputs.map((tensor) => `output   ${describe(tensor)}`),
    `opset    ${facts.opset ?? 'none'}; ${facts.quantized === null ? 'not quantized' : `${facts.quantized} quantization`}`,
    `size     ${(facts.parameters / 1e6).toFixed(2)} M parameters, ${facts.macs === null ? 'MACs unknown (shapes are open)' : `${(facts.macs / 1e6).toFixed(0)} M multiply-accumulates a frame`}`,
    `nodes    ${operatorText(facts)}`,
  ];
  if (facts.labels !== null)
    lines.push(
      `labels   ${facts.labels.length}: ${facts.labels.slice(0, 8).join(', ')}${facts.labels.length > 8 ? ', ...' : ''}`,
    );
  if (guesses.length === 0) lines.push('decoder  none recognised; docs/decoders.md lists what there is');
  for (const [index, guess] of guesses.entries()) {
    lines.push(
      `${index === 0 ? 'decoder ' : 'or      '} ${guess.family} (${Math.round(100 * guess.confidence)} %): ${guess.reason}`,
    );
  }
  return lines;
}

function describe({ name, dtype, dims }: TensorFacts): string {
  return `${name} ${dtype} ${dims === null ? '(shape not given)' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`}`;
}

function operatorText({ operators }: ModelFacts): string {
  const all = Object.entries(operators);
  const shown = all.slice(0, 16).map(([name, count]) => `${name} ${count}`);
  return `${shown.join(', ')}${all.length > 16 ? `, and ${all.length - 16} kinds more` : ''}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

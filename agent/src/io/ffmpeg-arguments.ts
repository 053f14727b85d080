import { resolve } from 'node:path';
import type { ContentRectangle } from '@vigie/models/runtime/frame';
import { letterbox, type PixelRectangle } from '@vigie/models/runtime/letterbox';
import ffmpeg from 'fluent-ffmpeg';
import type { ModelFrameSpec } from '../ports.js';

/**
 * Every ffmpeg and ffprobe argument of the agent is built here. One ffmpeg decodes once and writes two raw outputs of
 * one filter graph: model frames (G, B, R planes) on file descriptor 3 and view frames (yuv420p) on 4.
 */

export const MODEL_FD = 3;
export const VIEW_FD = 4;

/** A source that cannot be passed on; the message names value and way out. */
export class SourceError extends Error {
  readonly code = 'BAD_SOURCE';
}

/** What kind of place frames come from; decides pacing, timeouts and what an end means. */
export type Source =
  | { kind: 'file'; url: string }
  | { kind: 'rtsp'; url: string }
  | { kind: 'http'; url: string }
  | { kind: 'v4l2'; url: string };

/** Size and rate of the first video stream, after rotation. `fps` null when the source does not say. */
export interface SourceInfo {
  width: number;
  height: number;
  fps: number | null;
}

/** How frames shall be delivered. */
export interface CaptureOptions {
  source: Source;
  /** Files: deliver at the file's own rate (true) or as fast as the consumer reads. */
  realtime: boolean;
  /** Files: start again at the end, for ever. */
  loop: boolean;
  /** Upper limit of frames per second; null: as the source. */
  fps: number | null;
  /** Largest width of view frames, pixels. */
  viewWidth: number;
  model: ModelFrameSpec;
}

/** How long ffmpeg waits for a silent network source, microseconds. */
const NETWORK_TIMEOUT_US = 10_000_000;

/**
 * Recognises a source. Files become `file:` with an absolute path, so that neither an option (`-i`) nor another
 * protocol of ffmpeg (`concat:`, `subfile:`) can be smuggled in. Throws SourceError.
 */
export function parseSource(text: string): Source {
  const refused = (why: string) =>
    new SourceError(
      `source.url "${redactCredentials(text)}" ${why}; use a video file, rtsp://…, http://… (MJPEG) or /dev/videoN`,
    );
  if (text === '' || text.startsWith('-')) throw refused('is empty or looks like an option');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (/[\u0000-\u001f]/.test(text)) throw refused('holds control characters');
  if (/^\/dev\/video\d{1,3}$/.test(text)) return { kind: 'v4l2', url: text };
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'file', url: `file:${resolve(text)}` };
  if (scheme === 'file') return { kind: 'file', url: `file:${resolve(text.replace(/^file:(\/\/)?/i, ''))}` };
  if (!URL.canParse(text)) throw refused('is no valid URL');
  if (scheme === 'rtsp' || scheme === 'rtsps') return { kind: 'rtsp', url: text };
  if (scheme === 'http' || scheme === 'https') return { kind: 'http', url: text };
  throw refused(`has the unsupported scheme "${scheme}"`);
}

/** The same text with user and password of every URL replaced, fit for a log. */
export function redactCredentials(text: string): string {
  return text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]*@/gi, '$1***@');
}

function inputOptions(source: Source): string[] {
  switch (source.kind) {
    case 'file':
      return ['-protocol_whitelist file'];
    case 'rtsp':
      return ['-rtsp_transport tcp', `-timeout ${NETWORK_TIMEOUT_US}`, '-fflags nobuffer', '-flags low_delay'];
    case 'http':
      return [`-rw_timeout ${NETWORK_TIMEOUT_US}`, '-fflags nobuffer', '-use_wallclock_as_timestamps 1'];
    case 'v4l2':
      return ['-f v4l2'];
  }
}

/** Arguments of an ffprobe that prints the first video stream as JSON. */
export function probeArguments(source: Source): string[] {
  const options = inputOptions(source).flatMap((option) => option.split(' '));
  const entries = 'stream=width,height,avg_frame_rate,r_frame_rate:stream_side_data=rotation';
  return ['-v', 'error', ...options, '-select_streams', 'v:0', '-show_entries', entries, '-of', 'json', source.url];
}

/** Reads ffprobe's JSON; null when it holds no video stream. */
export function parseProbe(json: string): SourceInfo | null {
  interface Probe {
    streams?: {
      width?: number;
      height?: number;
      avg_frame_rate?: string;
      r_frame_rate?: string;
      side_data_list?: { rotation?: number }[];
    }[];
  }
  let probe: Probe;
  try {
    probe = JSON.parse(json) as Probe;
  } catch {
    return null;
  }
  const stream = probe.streams?.[0];
  if (stream?.width === undefined || stream.height === undefined || stream.width < 1 || stream.height < 1) return null;
  const rotation = Math.abs(stream.side_data_list?.find((side) => side.rotation !== undefined)?.rotation ?? 0);
  const sideways = rotation % 180 === 90;
  return {
    width: sideways ? stream.height : stream.width,
    height: sideways ? stream.width : stream.height,
    fps: parseRate(stream.avg_frame_rate) ?? parseRate(stream.r_frame_rate),
  };
}

function parseRate(text: string | undefined): number | null {
  const [numerator, denominator] = (text ?? '').split('/').map(Number);
  const rate = numerator / denominator;
  return Number.isFinite(rate) && rate > 0 && rate < 1000 ? rate : null;
}

/** Size of view frames: the source's, bounded in width, aspect kept, both even (yuv420p has half-size chroma). */
export function viewSize(info: SourceInfo, viewWidth: number): { width: number; height: number } {
  const factor = Math.min(1, viewWidth / info.width);
  const even = (value: number) => Math.max(2, Math.round(value / 2) * 2);
  return { width: even(info.width * factor), height: even(info.height * factor) };
}

/** Time between two delivered frames, ms; null when the source does not say its rate and none is asked for. */
export function frameInterval({ fps: limit }: Pick<CaptureOptions, 'fps'>, { fps }: SourceInfo): number | null {
  const rate = limit === null || fps === null ? (limit ?? fps) : Math.min(limit, fps);
  return rate === null ? null : 1000 / rate;
}

/** Where the picture stands inside the model's frame, 0..1: everything when stretched, a part when letterboxed. */
export function contentRectangle(info: SourceInfo, model: ModelFrameSpec): ContentRectangle {
  const content = contentPixels(info, model);
  return {
    x: content.x / model.width,
    y: content.y / model.height,
    width: content.width / model.width,
    height: content.height / model.height,
  };
}

function contentPixels(info: SourceInfo, model: ModelFrameSpec): PixelRectangle {
  if (model.resize === 'stretch') return { x: 0, y: 0, width: model.width, height: model.height };
  return letterbox(info.width, info.height, model.width, model.height, model.anchor);
}

/** The filter graph: an optional rate limit, then one branch for the model and one for viewers. */
export function filterGraph(options: CaptureOptions, info: SourceInfo): string[] {
  const { model } = options;
  const content = contentPixels(info, model);
  const view = viewSize(info, options.viewWidth);
  const limit = options.fps !== null && (info.fps === null || options.fps < info.fps) ? `fps=${options.fps},` : '';
  const scale = `scale=${content.width}:${content.height}:flags=bilinear`;
  const grey = (model.pad ?? 0).toString(16).padStart(2, '0').repeat(3);
  const pad =
    model.resize === 'letterbox'
      ? `,format=gbrp,pad=${model.width}:${model.height}:${content.x}:${content.y}:0x${grey}`
      : ',format=gbrp';
  return [
    `[0:v:0]${limit}split[m][v]`,
    `[m]${scale}${pad}[model]`,
    // A scale to the size it already has passes frames through untouched; it stands here for sources that change size.
    `[v]scale=${view.width}:${view.height}:flags=bilinear,format=yuv420p[view]`,
  ];
}

/** All arguments of the capturing ffmpeg. Frames are never duplicated or dropped to fit a clock (`passthrough`). */
export function captureArguments(options: CaptureOptions, info: SourceInfo): string[] {
  const file = options.source.kind === 'file';
  const input = [
    '-nostdin',
    '-hide_banner',
    '-nostats',
    '-loglevel error',
    '-threads 1',
    '-filter_threads 1',
    '-filter_complex_threads 1',
    ...inputOptions(options.source),
    ...(file && options.loop ? ['-stream_loop -1'] : []),
    ...(file && options.realtime ? ['-re'] : []),
    ...(options.source.kind === 'v4l2' && options.fps !== null ? [`-framerate ${options.fps}`] : []),
  ];
  // Unbuffered: a frame goes to the pipe in one write instead of through a 32 KiB buffer.
  const output = ['-fps_mode passthrough', '-avioflags direct', '-f rawvideo'];
  const command = ffmpeg(options.source.url)
    .inputOptions(input)
    .complexFilter(filterGraph(options, info))
    .output(`pipe:${MODEL_FD}`)
    .outputOptions(['-map [model]', ...output])
    .output(`pipe:${VIEW_FD}`)
    .outputOptions(['-map [view]', ...output]);
  // fluent-ffmpeg can only run with one output on stdout; its argument builder is the part we use.
  return (command as unknown as { _getArguments(): string[] })._getArguments();
}

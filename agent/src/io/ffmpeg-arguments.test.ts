import { describe, expect, it } from 'vitest';
import {
  type CaptureOptions,
  captureArguments,
  contentRectangle,
  parseProbe,
  parseSource,
  probeArguments,
  redactCredentials,
  SourceError,
  viewSize,
} from './ffmpeg-arguments.js';

const info = { width: 640, height: 360, fps: 10 };

function options(changes: Partial<CaptureOptions> = {}): CaptureOptions {
  return {
    source: parseSource('/clips/yard.mp4'),
    realtime: true,
    loop: true,
    fps: null,
    viewWidth: 1280,
    model: { width: 320, height: 320, resize: 'stretch' },
    ...changes,
  };
}

describe('parseSource', () => {
  it.each([
    '-i',
    '-f lavfi',
    '',
    'concat:/etc/passwd',
    'ftp://host/clip.mp4',
    'a\nb.mp4',
    'subfile,,start,0,end,9,,:x',
  ])('refuses %j or makes it a plain file', (text) => {
    try {
      expect(parseSource(text)).toMatchObject({ kind: 'file', url: expect.stringMatching(/^file:\//) });
    } catch (error) {
      expect(error).toBeInstanceOf(SourceError);
    }
  });

  it('never passes an option on', () => {
    expect(() => parseSource('-version')).toThrow(SourceError);
  });

  it('tells the kinds apart', () => {
    expect(parseSource('rtsp://u:p@cam/1').kind).toBe('rtsp');
    expect(parseSource('http://cam/video.mjpg').kind).toBe('http');
    expect(parseSource('/dev/video0')).toEqual({ kind: 'v4l2', url: '/dev/video0' });
    expect(parseSource('file:///clips/a.mp4')).toEqual({ kind: 'file', url: 'file:/clips/a.mp4' });
  });

  it('hides credentials in its own errors', () => {
    expect(() => parseSource('ftp://user:secret@host/x')).toThrow(/^(?!.*secret)/);
    expect(redactCredentials('[rtsp @ 0x1] rtsp://user:secret@cam/1: 401')).toBe('[rtsp @ 0x1] rtsp://***@cam/1: 401');
  });
});

describe('captureArguments', () => {
  it('decodes once and writes model planes to 3 and view frames to 4', () => {
    const args = captureArguments(options(), info);
    expect(args.filter((arg) => arg === '-i')).toHaveLength(1);
    expect(args[args.indexOf('-i') + 1]).toBe('file:/clips/yard.mp4');
    const graph = args[args.indexOf('-filter_complex') + 1];
    expect(graph).toBe(
      '[0:v:0]split[m][v];[m]scale=320:320:flags=bilinear,format=gbrp[model];' +
        '[v]scale=640:360:flags=bilinear,format=yuv420p[view]',
    );
    const [model, view] = [args.indexOf('pipe:3'), args.indexOf('pipe:4')];
    expect(args.slice(0, model).at(args.slice(0, model).lastIndexOf('-map') + 1)).toBe('[model]');
    expect(args.slice(0, view).at(args.slice(0, view).lastIndexOf('-map') + 1)).toBe('[view]');
  });

  it('paces and loops files only', () => {
    expect(captureArguments(options(), info)).toEqual(expect.arrayContaining(['-re', '-stream_loop']));
    const camera = captureArguments(options({ source: parseSource('rtsp://cam/1') }), info);
    expect(camera).not.toContain('-re');
    expect(camera).not.toContain('-stream_loop');
    expect(camera.join(' ')).toContain('-rtsp_transport tcp -timeout 10000000');
  });

  it('limits a rate and never raises one', () => {
    const graph = (fps: number) => captureArguments(options({ fps }), info).join(' ');
    expect(graph(5)).toContain('[0:v:0]fps=5,split');
    expect(graph(25)).toContain('[0:v:0]split');
  });

  it('letterboxes with the grey of the model', () => {
    const model = { width: 320, height: 320, resize: 'letterbox', pad: 114 } as const;
    expect(captureArguments(options({ model }), info).join(' ')).toContain(
      '[m]scale=320:180:flags=bilinear,format=gbrp,pad=320:320:0:70:0x727272[model]',
    );
    expect(contentRectangle(info, model)).toEqual({ x: 0, y: 70 / 320, width: 1, height: 180 / 320 });
    const topLeft = { ...model, anchor: 'top-left' } as const;
    expect(captureArguments(options({ model: topLeft }), info).join(' ')).toContain(',pad=320:320:0:0:0x727272[model]');
    expect(contentRectangle(info, topLeft)).toEqual({ x: 0, y: 0, width: 1, height: 180 / 320 });
  });
});

describe('probe', () => {
  it('reads size, rate and rotation', () => {
    const stream = { width: 1920, height: 1080, avg_frame_rate: '30000/1001', r_frame_rate: '30/1' };
    expect(parseProbe(JSON.stringify({ streams: [stream] }))).toEqual({ width: 1920, height: 1080, fps: 30000 / 1001 });
    const turned = { ...stream, avg_frame_rate: '0/0', side_data_list: [{ rotation: -90 }] };
    expect(parseProbe(JSON.stringify({ streams: [turned] }))).toEqual({ width: 1080, height: 1920, fps: 30 });
  });

  it('gives null for no video and for no JSON', () => {
    expect(parseProbe('{"streams": []}')).toBeNull();
    expect(parseProbe('oops')).toBeNull();
  });

  it('passes the same input options as capture', () => {
    expect(probeArguments(parseSource('rtsp://cam/1')).join(' ')).toContain('-rtsp_transport tcp');
  });
});

describe('viewSize', () => {
  it('bounds the width, keeps the aspect, is even', () => {
    expect(viewSize(info, 1280)).toEqual({ width: 640, height: 360 });
    expect(viewSize({ width: 1920, height: 1080, fps: 25 }, 1280)).toEqual({ width: 1280, height: 720 });
    expect(viewSize({ width: 641, height: 359, fps: 25 }, 1280)).toEqual({ width: 642, height: 360 });
  });
});

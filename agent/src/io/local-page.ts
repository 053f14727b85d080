import { createHash } from 'node:crypto';
import { SCRIPT } from './local-page-script.js';
import { STYLE } from './local-page-style.js';

/** The board's own page: the picture, the model and its swaps, figures, events. Loads nothing from anywhere else. */
export const LOCAL_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vigie</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
  <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true">
    <path d="M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12z"/><circle cx="12" cy="12" r="3"/></svg>
  <h1>Vigie</h1>
  <span class="spacer"></span>
  <span class="pill" id="camera">camera</span>
  <span class="pill" id="link">fleet</span>
  <span class="pill" id="socket">connecting</span>
</header>
<main>
  <section>
    <div class="card stage">
      <img id="picture" alt="Annotated picture of the camera">
      <div class="swap" id="swap" role="status"></div>
    </div>
    <div class="figures">
      <div class="card figure"><b><span id="fps">–</span><small>fps</small></b><span>frames detected on</span></div>
      <div class="card figure"><b><span id="p50">–</span><small>ms</small></b><span>latency, median</span></div>
      <div class="card figure"><b><span id="p95">–</span><small>ms</small></b><span>latency, p95</span></div>
      <div class="card figure"><b id="tracks">–</b><span>in the picture now</span></div>
    </div>
    <div class="card" id="chart"><h2>Latency of each frame</h2><canvas id="latency"></canvas></div>
  </section>
  <aside>
    <div class="card">
      <h2>Model</h2>
      <div class="model" id="model">none yet</div>
      <p><span class="tag" id="version">–</span><span class="tag" id="precision">–</span></p>
      <dl>
        <dt>Digest</dt><dd><code id="digest">–</code></dd>
        <dt>Runtime</dt><dd id="runtime">–</dd>
        <dt>Live since</dt><dd id="since">–</dd>
        <dt>Frames run</dt><dd id="run">–</dd>
        <dt>Install</dt><dd id="phase">–</dd>
        <dt>Last frame</dt><dd id="sequence">–</dd>
        <dt>Frames dropped</dt><dd id="drops">–</dd>
        <dt>Restarts</dt><dd id="restarts">–</dd>
      </dl>
    </div>
    <div class="card"><h2>Events</h2><p class="empty" id="empty">Nobody has been seen yet.</p><ol id="events"></ol></div>
  </aside>
</main>
<footer><a href="/snapshot.jpg">snapshot</a><a href="/health">health</a><a href="/model/info">model</a><a href="/events">events</a><a href="/metrics">metrics</a></footer>
<script>${SCRIPT}</script>
</body>
</html>
`;

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Content-Security-Policy of the page: its own script and style by hash, pictures and connections of this agent only. */
export const LOCAL_PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${hash(SCRIPT)}`,
  `style-src ${hash(STYLE)}`,
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

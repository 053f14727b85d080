/** Script of the board's own page. Values from the board enter the document as text only, never as markup. */
export const SCRIPT = `
'use strict';
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get('token');
const at = (path) => token === null ? path : path + (path.includes('?') ? '&' : '?') + 'token=' + encodeURIComponent(token);
const put = (id, text) => { const node = $(id); if (node.textContent !== text) node.textContent = text; };
const number = (value, digits) => Number.isFinite(value) ? value.toFixed(digits) : '–';
const pill = (id, text, kind) => { put(id, text); $(id).className = 'pill ' + kind; };
for (const link of document.querySelectorAll('footer a')) link.href = at(link.getAttribute('href'));

// The picture: an image that fails (agent restarted) is asked for again.
const picture = $('picture');
const connect = () => { picture.src = at('/stream.mjpeg' + '?at=' + Date.now()); };
picture.addEventListener('error', () => setTimeout(connect, 1500));
connect();

// Latency of the last results, drawn as a line.
const latencies = [];
const canvas = $('latency');
function drawLatency() {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * scale; canvas.height = height * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const top = Math.max(20, ...latencies) * 1.15;
  pen.font = '11px system-ui'; pen.fillStyle = '#8b9aa8'; pen.fillText(top.toFixed(0) + ' ms', 2, 10);
  pen.strokeStyle = '#22303c'; pen.beginPath(); pen.moveTo(0, height - .5); pen.lineTo(width, height - .5); pen.stroke();
  pen.strokeStyle = '#4cc2ff'; pen.lineWidth = 1.6; pen.lineJoin = 'round'; pen.beginPath();
  latencies.forEach((value, index) => pen.lineTo(width * index / 239, height - 2 - value / top * (height - 4)));
  pen.stroke();
}
setInterval(drawLatency, 500);

// The model, and the swap of it.
let shown = null;
function showModel(model, phase) {
  put('model', model.name);
  put('version', model.version); put('precision', model.precision.toUpperCase());
  put('digest', model.digest.slice(0, 12)); $('digest').title = model.digest;
  if (phase) put('phase', phase);
  if (shown !== null && shown.digest !== model.digest) {
    put('swap', 'Model swapped: ' + shown.version + ' ' + shown.precision.toUpperCase() + '  →  ' + model.version + ' ' + model.precision.toUpperCase());
    $('swap').classList.add('shown');
    setTimeout(() => $('swap').classList.remove('shown'), 8000);
  }
  shown = model;
}

// Events: one row each, from its start to its end.
const rows = new Map();
const clock = (instant) => new Date(instant).toLocaleTimeString();
function showEvent(event) {
  let row = rows.get(event.id);
  if (row === undefined) {
    row = document.createElement('li');
    row.append(document.createElement('i'), document.createElement('p'), document.createElement('time'));
    rows.set(event.id, row);
    $('events').prepend(row);
    $('empty').hidden = true;
    while ($('events').children.length > 40) $('events').lastElementChild.remove();
    if (rows.size > 200) rows.delete(rows.keys().next().value);
  }
  row.className = event.type === 'end' ? 'ended' : '';
  const detail = document.createElement('small');
  const seconds = event.endedAt ? (new Date(event.endedAt) - new Date(event.startedAt)) / 1000 : null;
  detail.textContent = 'score ' + event.score.toFixed(2) + (seconds === null ? ' · here now' : ' · ' + seconds.toFixed(1) + ' s');
  row.children[1].replaceChildren(event.label + ' #' + event.trackId, document.createElement('br'), detail);
  row.children[2].textContent = clock(event.startedAt);
}
fetch(at('/events?limit=40')).then((reply) => reply.json()).then((list) => list.items.slice().reverse().forEach(showEvent)).catch(() => {});

// Live messages.
let frames = 0;
function live() {
  const socket = new WebSocket(at(location.origin.replace('http', 'ws') + '/live'));
  socket.onopen = () => pill('socket', 'live', 'good');
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'frame') {
      frames++;
      latencies.push(message.latencyMs); if (latencies.length > 240) latencies.shift();
      put('sequence', '#' + message.sequence); put('tracks', String(message.tracks.length));
    } else if (message.type === 'event') showEvent(message.event);
    else if (message.type === 'model') { put('phase', message.phase); refresh(); }
  };
  socket.onclose = () => { pill('socket', 'reconnecting', 'bad'); setTimeout(live, 1500); };
}
live();

// What nobody pushes.
async function refresh() {
  try {
    const health = await (await fetch(at('/health'))).json();
    const camera = health.camera.status;
    pill('camera', 'camera ' + camera, camera === 'streaming' ? 'good' : camera === 'starting' ? 'warn' : 'bad');
    pill('link', health.link.connected ? 'fleet connected' : 'no fleet', health.link.connected ? 'good' : 'warn');
    put('fps', number(health.detector.fps, 1));
    const latency = health.detector.latencyMs || {};
    put('p50', number(latency.p50, 1)); put('p95', number(latency.p95, 1));
    put('restarts', String(health.detector.restarts));
    put('drops', String(Object.values(health.detector.drops).reduce((sum, count) => sum + count, 0)));
    put('phase', health.install.phase + (health.install.error ? ' · ' + (health.install.error.code || health.install.error) : ''));
    const reply = await fetch(at('/model/info'));
    if (reply.ok) {
      const model = await reply.json();
      showModel(model);
      put('runtime', model.runtime); put('run', model.framesRun.toLocaleString()); put('since', clock(model.since));
    }
  } catch { pill('camera', 'agent unreachable', 'bad'); }
}
refresh();
setInterval(refresh, 1500);
`;

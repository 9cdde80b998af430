// Lines and points on canvases.

const LINE_S = 15; // of the live line
const LOWEST = 36;
const OCTAVES = 4; // MIDI pitches of the live line

export function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// As many pixels as the screen has; returns [context, width, height] in CSS pixels.
function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const dense = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  context.lineCap = "round";
  context.lineJoin = "round";
  return [context, width, height];
}

function drawLine(context, points, x, y, stroke, width) {
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.beginPath();
  let open = false;
  for (const [at, pitch] of points) {
    if (pitch === null) { open = false; continue; }
    if (open) context.lineTo(x(at), y(pitch)); else context.moveTo(x(at), y(pitch));
    open = true;
  }
  context.stroke();
}

// line: [[second, MIDI pitch or null]].
export function drawLive(canvas, line) {
  const [context, width, height] = fitted(canvas);
  const x = (at) => 8 + (at / LINE_S) * (width - 16);
  const y = (pitch) => height - ((pitch - LOWEST) / (12 * OCTAVES)) * height;
  for (let octave = 1; octave < OCTAVES; octave += 1) {
    drawLine(context, [[0, LOWEST + 12 * octave], [LINE_S, LOWEST + 12 * octave]], x, y, colour("--edge"), 1);
  }
  drawLine(context, line, x, y, colour("--warm"), 3);
  const last = line.length ? line[line.length - 1] : null;
  if (last && last[1] !== null) {
    context.fillStyle = colour("--warm");
    context.beginPath();
    context.arc(x(last[0]), y(last[1]), 5, 0, 2 * Math.PI);
    context.fill();
  }
}

// answer: with its match and line; hum: its line.
export function drawMatch(canvas, answer, hum) {
  const [context, width, height] = fitted(canvas);
  const { match } = answer;
  const laid = hum.filter(([at]) => at >= match.hum_start_s).map(([at, pitch]) => {
    const step = match.path?.length ? match.path.find(([second]) => second >= at) : null;
    const place = step ? step[1] : match.start_s + (at - match.hum_start_s) / match.tempo_ratio;
    return [place, pitch === null ? null : pitch + match.semitones];
  }).filter(([at]) => at <= match.end_s + 0.1);
  const pitches = [...answer.line, ...laid].map(([, pitch]) => pitch).filter((pitch) => pitch !== null).sort((a, b) => a - b);
  const [low, high] = [pitches[Math.floor(0.02 * pitches.length)] - 2, pitches[Math.ceil(0.98 * pitches.length) - 1] + 2];
  const [from, to] = [answer.line[0][0], answer.line[answer.line.length - 1][0]];
  const x = (at) => ((at - from) / Math.max(to - from, 1e-6)) * width;
  const y = (pitch) => height - ((pitch - low) / (high - low)) * height;
  context.fillStyle = colour("--band");
  context.fillRect(x(match.start_s), 0, x(match.end_s) - x(match.start_s), height);
  drawLine(context, answer.line, x, y, colour("--blue"), 6);
  drawLine(context, laid, x, y, colour("--warm"), 2.5);
}

export const GROUP_COLOURS = 8;

// points: with x, y in [0, 1] and group; here: one of them, or null. Returns where each lies, in CSS pixels.
export function drawMap(canvas, points, groups, here) {
  const [context, width, height] = fitted(canvas);
  const size = Math.max(2.5, Math.min(7, 120 / Math.sqrt(points.length)));
  const places = points.map((one) => [12 + one.x * (width - 24), 12 + one.y * (height - 24)]);
  points.forEach((one, i) => {
    const group = groups.indexOf(one.group);
    context.fillStyle = colour(group >= 0 && group < GROUP_COLOURS ? `--group-${group}` : "--soft");
    context.beginPath();
    context.arc(...places[i], size, 0, 2 * Math.PI);
    context.fill();
  });
  if (here !== null) {
    context.strokeStyle = colour("--ink");
    context.lineWidth = 3;
    context.beginPath();
    context.arc(...places[points.indexOf(here)], size + 5, 0, 2 * Math.PI);
    context.stroke();
  }
  return places;
}

// The nearest point to the right of, left of, above or below another; itself where there is none.
export function neighbour(points, here, [dx, dy]) {
  let best = here;
  let least = Infinity;
  for (const one of points) {
    const along = (one.x - here.x) * dx + (one.y - here.y) * dy;
    const across = Math.abs((one.x - here.x) * dy) + Math.abs((one.y - here.y) * dx);
    if (one !== here && along > 0 && along + 3 * across < least) { least = along + 3 * across; best = one; }
  }
  return best;
}

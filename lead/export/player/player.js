// The clips, the camera, the clock and the controls. window.leadPlayer is there for other programs.

const FOV = (28 * Math.PI) / 180, HOME = { yaw: 0.6, pitch: 0.22, zoom: 1, x: 0, y: 0, z: 0 };
const AHEAD = 0.6; // s of a walk, before and after, that the camera's own walk is averaged over
const TINTS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5fc7", "#8a8f3c"];
const $ = (id) => document.getElementById(id);
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function readClips() {
  const { skeletons, clips } = JSON.parse($("data").textContent);
  const figures = [...document.querySelectorAll("figure.clip")];
  return clips.map((clip, number) => {
    const bytes = Uint8Array.from(atob(clip.joints), (c) => c.charCodeAt(0));
    const joints = Float32Array.from(new Int16Array(bytes.buffer), (whole) => whole * clip.step);
    const tint = TINTS[number % TINTS.length];
    const { joints: count, solids } = skeletons[clip.skeleton];
    figures[number].querySelector(".swatch").style.background = tint;
    const read = {
      caption: figures[number].querySelector("figcaption span").textContent,
      figure: figures[number], view: figures[number].querySelector(".view"),
      fps: clip.fps, frames: clip.frames, seconds: clip.frames / clip.fps,
      leg: clip.leg, count, solids, joints, tint: rgb(tint),
    };
    read.walk = smoothWalk(read);
    read.path = pathStrip(read);
    return read;
  });
}

// Where the camera looks in each frame: x and z of the root, averaged over neighbouring frames.
function smoothWalk({ joints, frames, count, fps }) {
  const reach = Math.round(AHEAD * fps), walk = new Float32Array(2 * frames);
  for (let frame = 0; frame < frames; frame++)
    for (let at = frame - reach; at <= frame + reach; at++) {
      const root = clamp(at, 0, frames - 1) * count * 3;
      walk[2 * frame] += joints[root] / (2 * reach + 1);
      walk[2 * frame + 1] += joints[root + 2] / (2 * reach + 1);
    }
  return walk;
}

// The root's way over the floor as a ribbon: (x, y, z, frame) left and right of every place.
function pathStrip({ joints, frames, count, leg }) {
  const strip = [], wide = 0.014 * leg;
  let side = [wide, 0], last = null;
  for (let frame = 0; frame < frames; frame++) {
    const x = joints[frame * count * 3], z = joints[frame * count * 3 + 2];
    const next = Math.min(frame + 1, frames - 1) * count * 3;
    const [fromX, fromZ] = last ?? [x, z];
    const dx = joints[next] - fromX, dz = joints[next + 2] - fromZ, far = Math.hypot(dx, dz);
    if (far > 0.004 * leg) side = [(wide * dz) / far, (-wide * dx) / far];
    strip.push(x + side[0], 0.002 * leg, z + side[1], frame);
    strip.push(x - side[0], 0.002 * leg, z - side[1], frame);
    last = [x, z];
  }
  return new Float32Array(strip);
}

// All that is drawn of a clip at a time; between frames joints move on straight lines.
function pose(clip, seconds, tint) {
  const frame = clamp(seconds * clip.fps, 0, clip.frames - 1);
  const first = Math.floor(frame), part = frame - first, width = clip.count * 3;
  const from = first * width, to = Math.min(first + 1, clip.frames - 1) * width;
  const at = (joint, axis) => {
    const i = joint * 3 + axis;
    return clip.joints[from + i] + part * (clip.joints[to + i] - clip.joints[from + i]);
  };
  const solids = [], balls = [];
  for (const [a, b, start, end, startRadius, endRadius, side] of clip.solids) {
    const point = (share) => [0, 1, 2].map((axis) => at(a, axis) + share * (at(b, axis) - at(a, axis)));
    const p = point(start), q = point(end), r0 = startRadius * clip.leg, r1 = endRadius * clip.leg;
    const colour = tint ? tint.map((c) => (side === "left" ? c * 0.75 : side === "right" ? c : 0.35 + c * 0.6)) : colours[side];
    solids.push(...p, r0, ...q, r1, ...colour);
    const r = (r0 + r1) / 2 + 0.2 * Math.hypot(q[0] - p[0], q[1] - p[1], q[2] - p[2]);
    balls.push([...p.map((value, axis) => (value + q[axis]) / 2), r]);
  }
  const walk = [0, 1].map((i) => clip.walk[2 * first + i] + part * (clip.walk[(2 * to) / width + i] - clip.walk[2 * first + i]));
  return { solids: new Float32Array(solids), balls, path: clip.path, frame, walk, tint };
}

// A camera that looks at figures of one leg length; `wide` is how much floor it has to see.
function makeCamera(walk, leg, wide, aspect) {
  const high = 1.12 * leg, fit = Math.max(1, 0.95 / aspect);
  const middle = [walk[0] + view.x * leg, high + view.y * leg, walk[1] + view.z * leg];
  const far = ((3.1 * leg * fit + wide * Math.max(1, 0.8 / aspect)) / (2 * Math.tan(FOV / 2))) / view.zoom;
  const [sinYaw, cosYaw] = [Math.sin(view.yaw), Math.cos(view.yaw)];
  const [sinPitch, cosPitch] = [Math.sin(view.pitch), Math.cos(view.pitch)];
  const back = [sinYaw * cosPitch, sinPitch, cosYaw * cosPitch];
  const right = [cosYaw, 0, -sinYaw], up = [-sinYaw * sinPitch, cosPitch, -cosYaw * sinPitch];
  const eye = middle.map((value, axis) => value + far * back[axis]);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const f = 1 / Math.tan(FOV / 2), near = far * 0.02, end = far * 20 + 40 * leg;
  const depth = (near + end) / (near - end), row = [right, up, back];
  const matrix = new Float32Array(16);
  for (let axis = 0; axis < 3; axis++) {
    matrix.set([(f / aspect) * right[axis], f * up[axis], depth * back[axis], -back[axis]], 4 * axis);
  }
  const [x, y, z] = row.map((axis) => -dot(axis, eye));
  matrix.set([(f / aspect) * x, f * y, depth * z + (2 * near * end) / (near - end), -z], 12);
  const key = [0, 1, 2].map((axis) => 0.55 * back[axis] - 0.45 * right[axis] + (axis === 1 ? 0.7 : 0));
  const size = Math.hypot(...key);
  const reach = Math.max(7 * leg, 2.2 * far);
  return { matrix, eye, middle: [middle[0], 0, middle[2]], reach, far, right, up, key: key.map((v) => v / size) };
}

let clips = [], shown = [], scene = null, colours = {}, view = { ...HOME };
let now = 0, playing = false, speed = 1, loop = true, follow = true, overlay = false;
let dirty = true, before = null, duration = 0;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["back", "floor", "grid", "path", "past", "left", "right", "middle"])
    colours[name] = rgb(style.getPropertyValue("--" + name).trim());
  dirty = true;
}

// Middle and extent of all ways, for a camera that stands still.
function extent(all) {
  const x = all.flatMap((clip) => [...clip.walk.filter((_, i) => i % 2 === 0)]);
  const z = all.flatMap((clip) => [...clip.walk.filter((_, i) => i % 2 === 1)]);
  const [left, right] = [x.reduce((a, b) => Math.min(a, b)), x.reduce((a, b) => Math.max(a, b))];
  const [front, back] = [z.reduce((a, b) => Math.min(a, b)), z.reduce((a, b) => Math.max(a, b))];
  return { walk: [(left + right) / 2, (front + back) / 2], wide: Math.hypot(right - left, back - front) };
}

function drawView(element, drawn) {
  const box = element.getBoundingClientRect();
  if (box.width < 2 || box.height < 2 || box.bottom < 0 || box.top > innerHeight) return;
  const figures = drawn.map((clip) => pose(clip, now, overlay ? clip.tint : null));
  const leg = Math.max(...drawn.map((clip) => clip.leg));
  const mean = [0, 1].map((i) => figures.reduce((sum, f) => sum + f.walk[i], 0) / figures.length);
  const spread = Math.max(...figures.map((f) => 2 * Math.hypot(f.walk[0] - mean[0], f.walk[1] - mean[1])));
  const all = (drawn.extent ??= extent(drawn));
  const [walk, wide] = follow ? [mean, spread] : [all.walk, all.wide];
  const camera = makeCamera(walk, leg, wide, box.width / box.height);
  element.camera = camera;
  scene.draw(box, camera, figures, colours, leg > 0.6 ? 1 : 0.5);
}

function draw() {
  dirty = false;
  scene.clear(colours);
  if (overlay) drawView($("stage"), shown);
  else for (const clip of shown) drawView(clip.view, (clip.self ??= [clip]));
  $("scrub").value = Math.round((1000 * now) / duration);
  $("scrub").setAttribute("aria-valuetext", now.toFixed(2) + " seconds");
  $("clock").textContent = `${now.toFixed(1)} / ${duration.toFixed(1)} s`;
}

function tick(stamp) {
  if (playing && before !== null) {
    now += (speed * Math.min(stamp - before, 250)) / 1000;
    if (now >= duration && !loop) pause();
    now = loop ? now % duration : Math.min(now, duration);
    dirty = true;
  }
  before = stamp;
  if (dirty && !scene.gl.isContextLost()) draw();
  requestAnimationFrame(tick);
}

// Only these clips, by number, from their beginning; the others are hidden.
function show(numbers) {
  shown = numbers.map((number) => clips[number]);
  for (const clip of clips) clip.figure.hidden = !shown.includes(clip);
  duration = Math.max(...shown.map((clip) => clip.seconds));
  now = 0;
  noteScrolling();
}

function play() {
  if (now >= duration) now = 0;
  setPlaying(true);
}
function pause() {
  setPlaying(false);
}
function setPlaying(value) {
  playing = value;
  $("play").textContent = value ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", value ? "Pause" : "Play");
  dirty = true;
}
function seek(seconds) {
  now = clamp(seconds, 0, duration);
  dirty = true;
}
function step(frames) {
  pause();
  seek(now + frames / Math.max(...clips.map((clip) => clip.fps)));
}
function zoom(factor) {
  view.zoom = clamp(view.zoom * factor, 0.15, 8);
  dirty = true;
}
function toggle(id) {
  const on = $(id).getAttribute("aria-pressed") !== "true";
  $(id).setAttribute("aria-pressed", on);
  if (id === "loop") loop = on;
  if (id === "follow") follow = on;
  if (id === "overlay") {
    overlay = on;
    $("stage").hidden = !on;
    $("clips").classList.toggle("overlay", on);
    noteScrolling();
  }
  dirty = true;
}
function setSpeed(change) {
  const at = clamp($("speed").selectedIndex + change, 0, $("speed").length - 1);
  $("speed").selectedIndex = at;
  speed = Number($("speed").value);
}
function reset() {
  view = { ...HOME };
  dirty = true;
}

const KEYS = {
  " ": () => (playing ? pause() : play()),
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => seek(0), End: () => seek(duration),
  ArrowUp: () => setSpeed(1), ArrowDown: () => setSpeed(-1),
  "+": () => zoom(1.2), "=": () => zoom(1.2), "-": () => zoom(1 / 1.2),
  r: reset, l: () => toggle("loop"), f: () => toggle("follow"), o: () => clips.length > 1 && toggle("overlay"),
};

function noteScrolling() {
  const scrolls = document.documentElement.scrollHeight > innerHeight + 4;
  document.documentElement.classList.toggle("scrolls", scrolls);
  dirty = true;
}

function listen() {
  $("play").onclick = KEYS[" "];
  $("scrub").oninput = () => seek(($("scrub").value / 1000) * duration);
  $("speed").onchange = () => setSpeed(0);
  for (const id of ["loop", "follow", "overlay"]) $(id).onclick = () => toggle(id);
  $("reset").onclick = reset;
  addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const own = event.target.closest("select, button") && [" ", "ArrowUp", "ArrowDown"].includes(key);
    if (own || event.target.closest("input:not(#scrub), textarea") || event.ctrlKey || event.metaKey || event.altKey || !KEYS[key]) return;
    KEYS[key]();
    event.preventDefault();
  });
  addEventListener("resize", noteScrolling);
  addEventListener("scroll", () => (dirty = true), { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
  for (const element of document.querySelectorAll(".view")) listenToView(element);
  $("canvas").addEventListener("webglcontextlost", (event) => event.preventDefault());
  $("canvas").addEventListener("webglcontextrestored", () => {
    scene = makeScene($("canvas"));
    dirty = true;
  });
}

// Drag to turn, shift or another button to move; two fingers move and zoom; so does the wheel.
function listenToView(element) {
  const fingers = new Map();
  const move = (dx, dy) => {
    const camera = element.camera;
    if (!camera) return;
    const metres = (2 * camera.far * Math.tan(FOV / 2)) / element.clientHeight;
    const leg = Math.max(...clips.map((clip) => clip.leg));
    const amount = (axis) => ((-dx * camera.right[axis] + dy * camera.up[axis]) * metres) / leg;
    view.x += amount(0);
    view.y += amount(1);
    view.z += amount(2);
  };
  element.onpointerdown = (event) => {
    fingers.set(event.pointerId, event);
    element.setPointerCapture(event.pointerId);
  };
  element.onpointerup = element.onpointercancel = (event) => fingers.delete(event.pointerId);
  element.oncontextmenu = (event) => event.preventDefault();
  element.ondblclick = reset;
  element.onpointermove = (event) => {
    const old = fingers.get(event.pointerId);
    if (!old) return;
    const dx = event.clientX - old.clientX, dy = event.clientY - old.clientY;
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (other) {
      const gap = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      zoom(gap(event) / Math.max(gap(old), 1));
      move(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons > 1) move(dx, dy);
    else {
      view.yaw -= dx * 0.008;
      view.pitch = clamp(view.pitch + dy * 0.006, -0.15, 1.5);
    }
    fingers.set(event.pointerId, event);
    dirty = true;
  };
  element.addEventListener("wheel", (event) => {
    const scrolls = document.documentElement.classList.contains("scrolls");
    if (scrolls && !event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-clamp(event.deltaY, -200, 200) * 0.0015));
  }, { passive: false });
}

function fail(text) {
  $("message").textContent = text;
  $("message").hidden = false;
  document.documentElement.dataset.state = "failed";
}

function start() {
  clips = readClips();
  show(clips.map((_, number) => number));
  window.leadPlayer = {
    clips, play, pause, seek, draw, show,
    get time() { return now; },
    get playing() { return playing; },
    get duration() { return duration; },
    get view() { return view; },
  };
  $("clips").classList.toggle("alone", clips.length === 1);
  $("overlay").hidden = clips.length === 1;
  scene = makeScene($("canvas"));
  if (!scene) return fail("The figures are drawn with WebGL2, which this browser does not offer: update it, switch on hardware acceleration, or look at the clips as GIF.");
  readColours();
  listen();
  noteScrolling();
  draw();
  document.documentElement.dataset.state = "ready";
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
  requestAnimationFrame(tick);
}

try {
  start();
} catch (error) {
  fail("The motions cannot be shown: " + error.message);
}

// Plays a clip with its masks. Only pictures near the frame that is shown are loaded.
"use strict";

const clip = JSON.parse(document.getElementById("clip").textContent);
const element = (id) => document.getElementById(id);
const canvas = element("picture");
const TINT = "#ff2d95"; // as in Label Studio
const GREY = "#808080";
const AHEAD = 48; // frames loaded ahead of the one that is shown
const BEHIND = 12;
const SETTLED = 250; // ms on one frame, after which its whole picture is loaded

/** Pictures by number: those that are wanted are loaded, a few at a time, and others let go. */
class Pictures {
  constructor(address, atOnce) {
    this.address = address;
    this.atOnce = atOnce;
    this.held = new Map();
    this.loading = new Set();
    this.wanted = [];
  }

  want(numbers) {
    this.wanted = numbers;
    const keep = new Set(numbers);
    for (const [number, picture] of this.held) {
      if (keep.has(number)) continue;
      picture.close();
      this.held.delete(number);
    }
    this.go();
  }

  go() {
    for (const number of this.wanted) {
      if (this.loading.size >= this.atOnce) return;
      if (!this.held.has(number) && !this.loading.has(number)) this.load(number);
    }
  }

  async load(number) {
    this.loading.add(number);
    let pause = 0;
    try {
      const answer = await fetch(this.address(number));
      if (!answer.ok) throw new Error(await reason(answer));
      const picture = await createImageBitmap(await answer.blob());
      if (this.wanted.includes(number)) this.held.set(number, picture);
      else picture.close();
      tell("");
    } catch (error) {
      tell(`Frame ${number} cannot be shown: ${error.message}`);
      pause = 2000; // then it is tried again
    }
    setTimeout(() => {
      this.loading.delete(number);
      this.go();
    }, pause);
    draw();
  }
}

async function reason(answer) {
  if (answer.status === 401) return "open this page again from a task in Label Studio.";
  try {
    return (await answer.json()).error;
  } catch {
    return `the service answers HTTP ${answer.status}.`;
  }
}

const keyOf = (frame) => Math.floor(frame / clip.stride);
const maskAddress = (key) => `${clip.page}/${clip.keys[key].mask}`;
const frames = new Pictures((frame) => `${clip.page}/frames/${frame}.jpg`, 4);
const masks = new Pictures(maskAddress, 2);
const wholeFrames = new Pictures((frame) => `${clip.page}/frames/${frame}.jpg?whole`, 1);
const wholeMasks = new Pictures((key) => `${maskAddress(key)}?whole`, 1);

let shown = 0; // the frame
let speed = 1;
let view = "tint";
let playing = null; // while playing: the frame and the time that it began with
let settling = 0;

/** The key frames whose masks lie over a frame, each with its weight. */
function weights(frame) {
  const before = keyOf(frame);
  const along = (frame % clip.stride) / clip.stride;
  const cut = clip.cuts.find((each) => each > before * clip.stride && each <= (before + 1) * clip.stride);
  const known = (key) => key < clip.keys.length && clip.keys[key].mask !== "";
  let found = [[before, 1 - along], [before + 1, along]];
  if (cut !== undefined) found = frame < cut ? [[before, 1]] : [[before + 1, 1]];
  else if (before + 1 >= clip.keys.length) found = [[before, 1]];
  return found.filter(([key, weight]) => weight > 0 && known(key));
}

function ready(frame) {
  return frames.held.has(frame) && weights(frame).every(([key]) => masks.held.has(key));
}

/** Ask for the pictures around the frame that is shown, the most urgent first. */
function load() {
  const step = playing ? stepOf() : 1;
  const wanted = [shown];
  for (let n = 1; n <= AHEAD; n++) {
    wanted.push(shown + n * step);
    if (!playing && n <= BEHIND) wanted.push(shown - n);
  }
  const inside = wanted.filter((frame) => frame >= 0 && frame < clip.frames);
  frames.want(inside);
  masks.want([...new Set(inside.flatMap((frame) => weights(frame).map(([key]) => key)))]);
}

function loadWhole() {
  const wanted = clip.reduced && !playing ? [shown] : [];
  wholeFrames.want(wanted);
  wholeMasks.want(wanted.flatMap((frame) => weights(frame).map(([key]) => key)));
}

const layer = document.createElement("canvas");
const outline = document.createElement("canvas");

/** The masks of a frame, blended between two key frames, white on a layer of that size. */
function paintMask(pictures, width, height) {
  const pen = sized(layer, width, height);
  pen.globalCompositeOperation = "lighter";
  for (const [key, weight] of weights(shown)) {
    pen.globalAlpha = weight;
    pen.drawImage(pictures.held.get(key), 0, 0, width, height);
  }
  pen.globalAlpha = 1;
  return pen;
}

function sized(surface, width, height) {
  surface.width = width; // this clears it, too
  surface.height = height;
  return surface.getContext("2d");
}

/** Turn the mask on the layer into a line along its edge. */
function outlined(width, height) {
  const pen = sized(outline, width, height);
  const thick = Math.max(1, Math.round(width / 480));
  for (const [x, y] of [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]]) {
    pen.drawImage(layer, x * thick, y * thick);
  }
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(layer, 0, 0);
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = TINT;
  pen.fillRect(0, 0, width, height);
  return outline;
}

function draw() {
  const keys = weights(shown).map(([key]) => key);
  const whole = wholeFrames.held.has(shown) && keys.every((key) => wholeMasks.held.has(key));
  if (!whole && !ready(shown)) return;
  const picture = (whole ? wholeFrames : frames).held.get(shown);
  const { width, height } = picture;
  const mask = view === "frame" ? null : paintMask(whole ? wholeMasks : masks, width, height);
  const pen = sized(canvas, width, height);
  if (view === "cutout") {
    pen.fillStyle = GREY;
    pen.fillRect(0, 0, width, height);
    mask.globalCompositeOperation = "source-in";
    mask.drawImage(picture, 0, 0);
    pen.drawImage(layer, 0, 0);
  } else {
    pen.drawImage(picture, 0, 0);
    if (view === "tint") {
      mask.globalCompositeOperation = "source-in";
      mask.fillStyle = TINT;
      mask.fillRect(0, 0, width, height);
      pen.globalAlpha = 0.45;
      pen.drawImage(layer, 0, 0);
    } else if (view === "contour") {
      pen.drawImage(outlined(width, height), 0, 0);
    }
  }
  canvas.dataset.frame = shown;
}

/** Show a frame, as soon as it is loaded. */
function show(frame) {
  shown = Math.min(Math.max(frame, 0), clip.frames - 1);
  const key = clip.keys[Math.min(keyOf(shown + Math.floor(clip.stride / 2)), clip.keys.length - 1)];
  const between = shown % clip.stride !== 0;
  element("position").textContent =
    `frame ${shown} of ${clip.frames} · ${(shown / clip.rate).toFixed(2)} s`;
  element("said").textContent = between
    ? `Between key frames: the masks before and after are blended here. Nearest key frame ${key.frame}: ${key.said}`
    : `Key frame ${key.frame}: ${key.said}` +
      (key.mask ? `; ${(100 * key.area).toFixed(1)} % of the frame` : "") +
      (key.uncertainty === null ? "" : `; uncertainty ${key.uncertainty.toFixed(2)}`);
  const task = element("task");
  task.hidden = !key.task;
  if (key.task) task.href = key.task;
  task.textContent = `Open task of frame ${key.frame} ⏎`;
  element("playhead").setAttribute("x1", shown + 0.5);
  element("playhead").setAttribute("x2", shown + 0.5);
  element("strip").setAttribute("aria-valuenow", shown);
  load();
  draw();
  clearTimeout(settling);
  if (!playing) {
    history.replaceState(null, "", `#${shown}`);
    settling = setTimeout(loadWhole, SETTLED);
  }
}

const stepOf = () => Math.max(1, Math.floor(speed));

function tick(now) {
  if (!playing) return;
  const step = stepOf();
  const steps = Math.floor(((now - playing.time) / 1000) * clip.rate * speed / step);
  const due = Math.min(playing.frame + steps * step, clip.frames - 1);
  let next = shown;
  while (next < due && ready(Math.min(next + step, clip.frames - 1))) {
    next = Math.min(next + step, clip.frames - 1);
  }
  if (next < due) playing = { frame: next, time: now }; // time stands still until it is loaded
  if (next !== shown) show(next);
  if (next === clip.frames - 1) pause();
  else requestAnimationFrame(tick);
}

function play() {
  wholeFrames.want([]);
  wholeMasks.want([]);
  if (shown === clip.frames - 1) show(0);
  playing = { frame: shown, time: performance.now() };
  element("play").textContent = "Pause";
  load();
  requestAnimationFrame(tick);
}

function pause() {
  playing = null;
  element("play").textContent = "Play";
  show(shown);
}

function go(frame) {
  if (playing) pause();
  show(frame);
}

const nextKey = () => (keyOf(shown) + 1 < clip.keys.length ? (keyOf(shown) + 1) * clip.stride : shown);
const lastKey = () => (Math.ceil(shown / clip.stride) - 1) * clip.stride;

function setSpeed(chosen) {
  speed = chosen;
  element("speed").value = String(chosen);
  if (playing) playing = { frame: shown, time: performance.now() };
}

function otherSpeed(by) {
  const speeds = [...element("speed").options].map((option) => Number(option.value));
  setSpeed(speeds[Math.min(Math.max(speeds.indexOf(speed) + by, 0), speeds.length - 1)]);
}

function setView(chosen) {
  view = chosen;
  document.querySelector(`input[value=${chosen}]`).checked = true;
  draw();
}

const VIEWS = ["tint", "contour", "cutout", "frame"];

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const acts = {
    " ": () => (playing ? pause() : play()),
    ArrowLeft: () => go(event.shiftKey ? lastKey() : shown - 1),
    ArrowRight: () => go(event.shiftKey ? nextKey() : shown + 1),
    ArrowUp: () => otherSpeed(1),
    ArrowDown: () => otherSpeed(-1),
    Home: () => go(0),
    End: () => go(clip.frames - 1),
    Enter: () => !element("task").hidden && element("task").click(),
  };
  VIEWS.forEach((name, index) => (acts[String(index + 1)] = () => setView(name)));
  if (!(event.key in acts)) return;
  event.preventDefault();
  acts[event.key]();
}

function frameAt(event) {
  const box = element("strip").getBoundingClientRect();
  return Math.floor(((event.clientX - box.left) / box.width) * clip.frames);
}

function tell(text) {
  element("trouble").textContent = text;
  element("trouble").hidden = text === "";
}

/** After somebody corrected a mask in another tab, this page shows the old one: load it anew. */
async function lookAgain() {
  if (document.hidden || playing) return;
  try {
    const answer = await fetch(clip.page, { method: "HEAD", cache: "no-store" });
    if (answer.ok && answer.headers.get("ETag") !== `"${clip.version}"`) location.reload();
  } catch {
    // the service is away for the moment; the page stays as it is
  }
}

document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", lookAgain);
window.addEventListener("focus", lookAgain);
window.addEventListener("hashchange", () => go(Number(location.hash.slice(1)) || 0));
element("play").addEventListener("click", () => (playing ? pause() : play()));
element("back").addEventListener("click", () => go(shown - 1));
element("forward").addEventListener("click", () => go(shown + 1));
element("key-back").addEventListener("click", () => go(lastKey()));
element("key-forward").addEventListener("click", () => go(nextKey()));
element("speed").addEventListener("change", (event) => setSpeed(Number(event.target.value)));
element("views").addEventListener("change", (event) => setView(event.target.value));
element("strip").addEventListener("pointerdown", (event) => {
  element("strip").setPointerCapture(event.pointerId);
  go(frameAt(event));
});
element("strip").addEventListener("pointermove", (event) => event.buttons && go(frameAt(event)));
for (const each of document.querySelectorAll("button, select, input")) {
  each.addEventListener("change", () => each.blur()); // keys go on to work
  each.addEventListener("click", () => each.tagName === "BUTTON" && each.blur());
}

show(Number(location.hash.slice(1)) || 0);

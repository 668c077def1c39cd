"use strict";
// The page of `lead demo`: asks the server for clips and words, shows how far they are, plays them.

const $ = (id) => document.getElementById(id);
const POLL = 300; // ms between two looks at a job
const EARLIER = 12; // motions in the list
const FORMATS = {
  bvh: "skeleton animation for Blender, Maya, MotionBuilder",
  glb: "animated figure for Blender, Unity, Godot, three.js",
  npz: "joints and features as NumPy arrays",
  gif: "moving picture", webp: "moving picture, smaller", mp4: "video",
  png: "poses side by side", html: "this player as one file",
};
const SIDES = { on: "with projector", off: "without projector" };

let about = null, current = null, shown = null;
const earlier = [];
const KEPT = "lead"; // what a reload of this tab finds again: the form and the list of motions

// The server's answer as an object; an Error with its one line where it refuses.
async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Error("The server does not answer: is lead demo still running?");
  }
  const body = await answer.json().catch(() => ({ error: `the server said ${answer.status}` }));
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

function fail(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
  if (error) $("said").scrollIntoView({ block: "nearest" });
}

// Progress, status and error stand behind what caused them.
function speakAfter(id) {
  if ($(id).nextElementSibling !== $("said")) $(id).after($("said"));
  fail(null);
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function setBusy(busy) {
  for (const id of ["generate", "teach-button", "tell-button", "attention"]) $(id).disabled = busy;
  $("cancel").hidden = !busy;
  $("progress").hidden = !busy;
  $("result").setAttribute("aria-busy", busy);
}

// Follow a job to its end; returns it where it is done, null where it was cancelled.
async function follow(job) {
  current = job.id;
  while (job.state === "waiting" || job.state === "working") {
    if (job.state === "waiting") {
      $("progress").removeAttribute("value");
      say(job.before ? `Waiting: ${job.before} before this one` : "Waiting");
    } else {
      $("progress").value = job.progress;
      say(`${sentence(job.doing)} …`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
    job = await call(`/jobs/${job.id}`);
  }
  if (job.state === "failed") throw new Error(job.error);
  return job.state === "done" ? job : null;
}

async function work(form, start, finish) {
  if (current !== null) return;
  current = "";
  setBusy(true);
  speakAfter(form);
  $("progress").removeAttribute("value");
  say("Asking …");
  try {
    const began = performance.now();
    const job = await follow(await start());
    if (job) await finish(job, (performance.now() - began) / 1000);
    else say("Cancelled.");
  } catch (error) {
    say("");
    fail(error);
  }
  current = null;
  setBusy(false);
}

function generate() {
  const form = {
    text: $("text").value,
    seconds: Number($("seconds").value),
    seed: Number($("seed").value),
    guidance: Number($("guidance").value),
    steps: Number($("steps").value),
    projector: chosen("projector"),
    wait: false,
  };
  const headers = { "Content-Type": "application/json" };
  work("ask",
    () => call("/generate", { method: "POST", headers, body: JSON.stringify(form) }),
    (job, took) => {
      earlier.unshift(job);
      earlier.splice(EARLIER);
      show(job);
      say(`Ready in ${took.toFixed(1)} s.`);
    });
}

// Learned words stand in angle brackets; who leaves them out means the same.
function spelled(word) {
  const plain = word.trim().replace(/^<|>$/g, "");
  return plain && `<${plain}>`;
}

function isTooLarge(file, form) {
  if (file.size <= about.upload_bytes) return false;
  const [size, most] = [file.size, about.upload_bytes].map((bytes) => (bytes / 1e6).toFixed(1));
  speakAfter(form);
  fail(new Error(`${file.name} has ${size} MB: ${most} MB are the most.`));
  return true;
}

function tell() {
  const file = $("told-file").files[0];
  if (isTooLarge(file, "tell")) return;
  const query = new URLSearchParams({ file: file.name, count: 3, seed: $("seed").value, wait: false });
  const headers = { "Content-Type": "application/octet-stream" };
  work("tell",
    () => call(`/captions?${query}`, { method: "POST", headers, body: file }),
    (job, took) => {
      $("told").replaceChildren(...job.captions.map(({ text }) => element("li", {}, sentence(text))));
      say(`Written in ${took.toFixed(1)} s.`);
    });
}

function teach() {
  const file = $("file").files[0];
  if (isTooLarge(file, "teach")) return;
  const values = { word: spelled($("word").value), init: $("init").value.trim(), means: chosen("means"), file: file.name };
  const query = new URLSearchParams({ ...values, wait: false });
  const headers = { "Content-Type": "application/octet-stream" };
  work("teach",
    () => call(`/words?${query}`, { method: "POST", headers, body: file }),
    async (job, took) => {
      const { word } = job.word;
      $("teach").reset();
      say(`Learned ${word} in ${took.toFixed(1)} s: use it in a sentence.`);
      await load();
    });
}

function show(job) {
  shown = job.id;
  $("empty").hidden = true;
  $("player").hidden = false;
  $("player").src = job.player;
  $("remarks").replaceChildren(...job.remarks.map((remark) => element("li", {}, sentence(remark))));
  const several = job.clips.length > 1;
  const rows = job.clips.map((clip) => element("div", { className: "files" },
    element("b", {}, several ? sentence(SIDES[clip.projector]) : "Download"),
    ...Object.keys(clip.files).map((format) => link(format, clip, several))));
  const title = several ? [element("h2", {}, "Download")] : [];
  $("downloads").replaceChildren(...title, ...rows);
  $("attention-box").hidden = !about.attention;
  $("attention-picture").hidden = true;
  $("attention-picture").removeAttribute("src");
  listEarlier();
  keep();
  if (matchMedia("(max-width: 52rem)").matches) $("result").scrollIntoView();
}

// Words against seconds of the motion shown; asked for by the button alone.
function look() {
  const headers = { "Content-Type": "application/json" };
  const picture = $("attention-picture"), of = shown;
  work("attention-box",
    () => call(`/jobs/${of}/attention`, { method: "POST", headers, body: JSON.stringify({ wait: false }) }),
    async (job, took) => {
      if (of !== shown) return;
      picture.src = job.picture;
      picture.alt = "Attention of the motion to each word, by second, and SinkRatio by step";
      await picture.decode();
      picture.hidden = false;
      say(`Ready in ${took.toFixed(1)} s.`);
    });
}

function link(format, clip, several) {
  const title = FORMATS[format] ?? "";
  const made = element("a", { href: clip.files[format], download: "", title }, format.toUpperCase());
  made.setAttribute("aria-label", `Download ${format.toUpperCase()}, ${title}${several ? ", " + SIDES[clip.projector] : ""}`);
  made.onclick = (event) => {
    event.preventDefault();
    download(made, format);
  };
  return made;
}

// Fetched here rather than by the browser, so that a failure is one line on this page.
async function download(from, format) {
  speakAfter("downloads");
  say(`Writing ${format.toUpperCase()} …`);
  try {
    const answer = await fetch(from.href, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.json()).error);
    const name = decodeURIComponent(answer.headers.get("Content-Disposition").split("''")[1]);
    const url = URL.createObjectURL(await answer.blob());
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say(`Downloaded ${name}.`);
  } catch (error) {
    say("");
    fail(error);
  }
}

function listEarlier() {
  $("earlier-box").hidden = earlier.length < 2;
  $("earlier").replaceChildren(...earlier.map((job) => {
    const [clip] = job.clips;
    const how = job.clips.length > 1 ? "side by side" : SIDES[clip.projector];
    const facts = element("small", {}, ` ${clip.seconds.toFixed(1)} s, seed ${clip.seed}, ${how}`);
    const button = element("button", { type: "button" }, element("span", {}, clip.text), facts);
    button.setAttribute("aria-current", job.id === shown);
    button.onclick = () => again(job);
    return element("li", {}, button);
  }));
}

async function again(job) {
  speakAfter("earlier-box");
  try {
    await call(`/jobs/${job.id}`);
    show(job);
    say("");
  } catch (error) {
    earlier.splice(earlier.indexOf(job), 1);
    listEarlier();
    keep();
    fail(error);
  }
}

const fields = () => [...$("ask").elements].filter((field) => field.id || field.type === "radio");
const called = (field) => (field.type === "radio" ? `${field.name}=${field.value}` : field.id);

function keep() {
  if (about === null) return;
  const values = fields().map((field) => [called(field), "checked" in field && /radio|checkbox/.test(field.type) ? field.checked : field.value]);
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ run: about.run, values, earlier, shown }));
  } catch {} // a browser that keeps nothing
}

// What was typed and made before the page was loaded anew, as far as this model can and still has it.
async function restore() {
  let kept;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return;
  }
  if (kept?.run !== about.run) return;
  const values = new Map(kept.values);
  for (const field of fields()) {
    const value = values.get(called(field));
    if (typeof value === "boolean") field.checked = value;
    else if (value !== undefined) field.value = value;
  }
  showValues();
  const still = await Promise.all(kept.earlier.map((job) => call(`/jobs/${job.id}`).catch(() => null)));
  earlier.push(...still.filter((job) => job?.state === "done"));
  const job = earlier.find((one) => one.id === kept.shown);
  if (job) show(job);
  else listEarlier();
}

function insertWord(word) {
  const text = $("text");
  text.setRangeText(text.value.trim() ? word : `a ${word} person walks`, text.selectionStart, text.selectionEnd, "end");
  text.focus();
}

function chip(text, act) {
  return element("button", { type: "button", onclick: act }, text);
}

function listWords() {
  const label = $("words-label");
  $("words").hidden = about.words.length === 0;
  $("words").replaceChildren(label, ...about.words.map(({ word }) => chip(word, () => insertWord(word))));
  $("taught").replaceChildren(...about.words.map(({ word, file }) =>
    element("li", {}, `${word}: `, element("a", { href: file, download: "" }, "download for lead generate words="))));
}

// What the model can do; the values of the form are set at the first call alone.
async function load() {
  const first = about === null;
  about = await call("/about");
  listWords();
  if (!first) return;
  fill();
  await restore();
}

function fill() {
  const { defaults, limits } = about;
  const seconds = $("seconds");
  seconds.min = Math.ceil(limits.seconds[0] * 10) / 10;
  seconds.max = Math.floor(limits.seconds[1] * 10) / 10;
  seconds.value = defaults.seconds;
  $("text").maxLength = limits.text;
  $("seed").max = 2 ** 31 - 1;
  $("seed").value = defaults.seed;
  $("guidance").max = Math.max(15, defaults.guidance);
  $("guidance").value = defaults.guidance;
  $("steps").max = limits.steps[1];
  $("steps").value = defaults.steps;
  document.querySelector(`input[name="projector"][value="${defaults.projector}"]`).checked = true;
  $("projector").disabled = !about.projector;
  $("no-projector").hidden = about.projector;
  $("tell-box").hidden = !about.captions;
  $("file-note").textContent = `At most ${about.upload_bytes / 1e6} MB and ${limits.upload_seconds} seconds; it is read, then removed.`;
  $("model").textContent = `model ${about.run}`;
  const licence = about.licence ? ` The model was trained on data under ${about.licence}.` : "";
  $("facts").textContent = `lead ${about.lead}. Everything is computed by the machine that started lead demo; nothing is sent elsewhere.${licence}`;
  $("examples").hidden = about.examples.length === 0;
  $("examples").append(...about.examples.map((text) => chip(text, () => {
    $("text").value = text;
    $("text").focus();
  })));
  showValues();
}

function showValues() {
  $("seconds-value").textContent = `${Number($("seconds").value).toFixed(1)} s`;
  $("guidance-value").textContent = Number($("guidance").value).toFixed(1);
}

function listen() {
  $("ask").onsubmit = (event) => {
    event.preventDefault();
    generate();
  };
  $("teach").onsubmit = (event) => {
    event.preventDefault();
    teach();
  };
  $("tell").onsubmit = (event) => {
    event.preventDefault();
    tell();
  };
  $("text").onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("ask").requestSubmit();
  };
  // keepalive: a visitor who leaves the page takes the request along
  const cancel = () => current && call(`/jobs/${current}`, { method: "DELETE", keepalive: true }).catch(fail);
  $("attention").onclick = look;
  $("cancel").onclick = cancel;
  onpagehide = () => {
    keep();
    cancel();
  };
  $("other-seed").onclick = () => ($("seed").value = Math.floor(Math.random() * 100000));
  for (const id of ["seconds", "guidance"]) $(id).oninput = showValues;
  $("word").onchange = () => ($("word").value = spelled($("word").value));
  $("ask").addEventListener("input", keep);
}

listen();
load().then(() => (document.documentElement.dataset.state = "ready"), fail);

import { drawLive, drawMap, drawMatch, GROUP_COLOURS, neighbour } from "/drawing.js";
import { Recording, SHORTEST_S } from "/microphone.js";
import { language, T } from "/texts.js";

const SMALL = 5000; // songs, up to which there are answers while one hums
const EVERY_S = 2; // from one of them to the next
const HELD_MS = 600; // a button that is held so long stops when it is let go
const MUTED_S = 3; // without a sound, after which it is said
const PARTS = { hum: "melody", words: "sound", sound: "sound", tracks: "tracks", map: "sound" };
const $ = (id) => document.getElementById(id);
const client = crypto.getRandomValues(new Uint32Array(2)).join("-"); // so that each page has its turn
const state = { libraries: [], way: "hum", recording: null, tags: [], chosen: [], list: [], asked: 0, shown: 0, plane: null, here: null, playing: null };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function labelled(made, label) { made.setAttribute("aria-label", label); return made; }

function say(text) { $("said").textContent = text; }

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function title(one) { return [one.artist, one.title].filter(Boolean).join(" - ") || one.name || one.music_id; }

// --- the server

async function ask(path, values = {}, options = {}) {
  const query = new URLSearchParams({ index: $("library").value, ...values });
  let answer;
  try {
    answer = await fetch(`${path}?${query}`, { ...options, headers: { "x-humfind-client": client, ...options.headers } });
  } catch {
    throw new Error(T.gone);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(typeof body.detail === "string" ? body.detail : T.nothing);
  return body;
}

function post(path, asked) {
  return ask(path, {}, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked) });
}

// Answers are shown in the order in which they were asked for; each is asked for once. A quiet search says nothing where it fails.
async function search(path, values, body, quietly = false) {
  const number = state.asked += 1;
  if (!quietly) { $("answers").replaceChildren(); say(T.searching); }
  try {
    const found = await ask(path, quietly ? { ...values, while_humming: true } : values, body === undefined ? {} : { method: "POST", body });
    if (number < state.shown || (quietly && !state.recording)) return;
    state.shown = number;
    if (quietly) { showSoFar(found); return; }
    show(found);
    if (state.way === "hum" && $("answers").getBoundingClientRect().bottom > window.innerHeight) $("said").scrollIntoView();
  } catch (error) {
    if (!quietly && number === state.asked) say(error.message);
  }
}

// --- answers

function show(found) {
  const first = found.answers[0];
  const left = found.left_out?.length ? ` ${T.leftOut(found.left_out.join("; "))}` : "";
  const part = found.missing?.length ? ` ${T.inPart(found.missing.length)}` : "";
  if (found.verdict === "found") say(T.found(title(first)) + part);
  else if (found.verdict === "one of these") say(T.oneOf + part);
  else if (found.verdict === "not here") say((found.reason ? T.noMelody : T.notHere) + part);
  else say((first ? T.best : T.nothing) + left);
  const shown = found.verdict === "not here" ? [] : found.verdict === "found" ? [first] : found.answers;
  list(shown, found.line);
  if (found.verdict === "found") cue(first);
}

function showSoFar(found) {
  if (found.verdict === "found") say(T.perhaps(title(found.answers[0])));
}

function list(answers, hum) {
  $("answers").replaceChildren(...answers.map((one) => row(one, hum)));
  answers.forEach((one, i) => {
    const canvas = $("answers").children[i].querySelector("canvas");
    if (canvas) drawMatch(canvas, one, hum);
  });
}

function row(one, hum) {
  const about = [];
  if (one.match) {
    about.push(T.place(clock(one.match.start_s), clock(one.match.end_s)));
    if (hum) about.push(T.key(Math.round(one.match.semitones)), T.tempo(one.match.tempo_ratio));
  }
  if (typeof one.probability === "number") about.push(T.sure(one.probability));
  if (one.tags?.length) about.push(one.tags.slice(0, 5).join(", "));
  if (one.why) about.push(one.why);
  const button = labelled(element("button", { type: "button", className: "play", textContent: "▶" }), T.play(title(one)));
  button.addEventListener("click", () => play(one));
  const text = element("div", { className: "text" }, element("div", { className: "title", textContent: one.title || one.name || one.music_id }));
  if (one.artist) text.append(element("div", { className: "artist", textContent: one.artist }));
  text.append(element("div", { className: "about", textContent: about.join(" · ") }));
  const made = element("li", {}, element("div", { className: "row" }, button, text));
  if (one.line?.length && hum?.length) {
    const canvas = labelled(element("canvas", { className: "match" }), T.lineOf(title(one)));
    canvas.setAttribute("role", "img");
    made.append(canvas);
  }
  return made;
}

// --- the player

// Ready to start at the place that was found.
function cue(one) {
  const player = $("player");
  state.playing = one;
  $("bar").hidden = false;
  $("playing").textContent = title(one);
  player.src = `/api/audio?${new URLSearchParams({ song: one.music_id, index: $("library").value })}`;
  player.addEventListener("loadedmetadata", () => { player.currentTime = one.match?.start_s ?? 0; }, { once: true });
}

function play(one) {
  cue(one);
  $("player").play().catch(() => {}); // the player's own error says why
}

function playNext() {
  const at = state.list.indexOf(state.playing);
  if (at >= 0 && at + 1 < state.list.length) play(state.list[at + 1]);
}

// --- hum

async function record() {
  if (!navigator.mediaDevices?.getUserMedia) { say(T.notSafe); return; }
  const made = new Recording((level) => told(made, level), finish);
  let askedAt = 0;
  made.due = () => {
    if (made.asking || made.seconds < 2 * SHORTEST_S || made.seconds - askedAt < EVERY_S) return false;
    askedAt = made.seconds;
    return true;
  };
  state.recording = made;
  $("player").pause();
  $("answers").replaceChildren();
  listening(true);
  say(T.listening);
  try {
    await made.start();
    if (state.recording !== made) made.stop(); // let go before the microphone was there
  } catch (error) {
    made.stop();
    if (state.recording === made) state.recording = null;
    listening(false);
    say({ NotFoundError: T.noMicrophone, NotAllowedError: T.refused }[error.name] ?? T.inUse);
  }
}

function listening(is) {
  $("record").setAttribute("aria-pressed", String(is));
  $("record-text").textContent = is ? T.stop : T.hum;
  $("record").style.setProperty("--level", "0");
}

function told(made, level) {
  if (state.recording !== made) return;
  $("record").style.setProperty("--level", String(Math.min(1, 5 * level)));
  drawLive($("melody"), made.line);
  if (!made.heard && made.seconds > MUTED_S) say(T.nothingHeard);
  else if (made.heard && $("said").textContent === T.nothingHeard) say(T.listening);
  if (library()?.songs <= SMALL && made.heard && made.due()) {
    made.asking = true;
    search("/api/search", {}, made.wav(), true).finally(() => { made.asking = false; });
  }
}

function finish() {
  const made = state.recording;
  if (!made) return;
  state.recording = null;
  listening(false);
  if (!made.context || made.seconds < SHORTEST_S) { made.stop(); say(T.tooShort); return; }
  const wav = made.wav();
  made.stop();
  if (made.heard) search("/api/search", {}, wav); else say(T.silent);
}

// A click starts and stops; held, it stops when it is let go. From the keyboard a click comes without a pointer.
function recordButton() {
  let downAt = 0;
  let started = false;
  $("record").addEventListener("pointerdown", (event) => {
    if (event.button) return;
    downAt = event.timeStamp;
    started = !state.recording;
    if (started) record();
  });
  const released = (event) => { if (started && state.recording && event.timeStamp - downAt > HELD_MS) { started = false; finish(); } };
  window.addEventListener("pointerup", released);
  window.addEventListener("pointercancel", released);
  $("record").addEventListener("contextmenu", (event) => event.preventDefault());
  $("record").addEventListener("click", (event) => {
    if (event.detail === 0) { if (state.recording) finish(); else record(); return; }
    if (!started && state.recording) finish();
    started = false;
  });
}

// --- words

async function loadTags() {
  if (state.tags.length) return;
  state.tags = await ask("/api/tags");
  $("tags").replaceChildren(...state.tags.map((tag) => {
    const chip = element("button", { type: "button", textContent: tag });
    chip.addEventListener("click", () => { toggleWord(tag); $("words-form").requestSubmit(); });
    return element("li", {}, chip);
  }));
  pressTags();
}

function toggleWord(tag) {
  const words = $("words").value.split(",").map((word) => word.trim()).filter(Boolean);
  const there = words.includes(tag);
  $("words").value = (there ? words.filter((word) => word !== tag) : [...words, tag]).join(", ");
  pressTags();
}

function pressTags() {
  const words = $("words").value.split(",").map((word) => word.trim());
  for (const chip of $("tags").querySelectorAll("button")) chip.setAttribute("aria-pressed", String(words.includes(chip.textContent)));
}

// The last word, completed.
function complete() {
  pressTags();
  const [, before, last] = $("words").value.match(/^(.*?)([^\s,]*)$/);
  const fitting = last ? state.tags.filter((tag) => tag.toLowerCase().startsWith(last.toLowerCase())) : [];
  $("completions").replaceChildren(...fitting.map((tag) => element("option", { value: before + tag })));
}

// --- sound

function seconds(text) {
  if (!text.trim()) return null;
  const found = text.trim().match(/^(?:(\d{1,3}):)?(\d{1,4})$/);
  if (!found) throw new Error(T.badTime);
  return 60 * Number(found[1] ?? 0) + Number(found[2]);
}

function searchSound(file) {
  try {
    const at = seconds($("sound-at").value);
    search("/api/similar", at === null ? {} : { at_s: at }, file);
  } catch (error) { say(error.message); }
}

// --- tracks

async function offer() {
  const like = $("track").value.trim();
  try {
    const songs = like ? await ask("/api/songs", { like }) : [];
    if ($("track").value.trim() !== like) return;
    const more = songs.filter((song) => !state.chosen.some((one) => one.music_id === song.music_id)).slice(0, 12);
    $("offered").replaceChildren(...more.map((song) => chip(song, `+ ${title(song)}`, T.choose(title(song)), () => {
      state.chosen.push(song);
      $("track").value = "";
      $("track").focus();
      offer();
      chosen();
    })));
  } catch (error) { say(error.message); }
}

function chip(song, text, label, act) {
  const button = labelled(element("button", { type: "button", textContent: text }), label);
  button.addEventListener("click", act);
  return element("li", {}, button);
}

function chosen() {
  $("chosen").replaceChildren(...state.chosen.map((song) => chip(song, `${title(song)} ✕`, T.remove(title(song)), () => {
    state.chosen = state.chosen.filter((one) => one !== song);
    chosen();
    $("track").focus();
  })));
  $("make").disabled = !state.chosen.length;
}

async function makePlaylist() {
  say(T.searching);
  try {
    state.list = await post("/api/playlist", { tracks: state.chosen.map((one) => one.music_id) });
    say(T.madeList(state.list.length));
    list(state.list, null);
    $("save").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname); // a list names files of that machine
  } catch (error) { say(error.message); }
}

async function saveList() {
  try {
    const { m3u8 } = await post("/api/m3u8", { tracks: state.list.map((one) => one.music_id) });
    const url = URL.createObjectURL(new Blob([m3u8], { type: "application/vnd.apple.mpegurl" }));
    element("a", { href: url, download: "playlist.m3u8" }).click();
    URL.revokeObjectURL(url);
    say(T.saved);
  } catch (error) { say(error.message); }
}

// --- the map

async function loadMap() {
  if (!state.plane) {
    say(T.drawing);
    state.plane = await ask("/api/map");
    say("");
    const count = new Map();
    for (const { group } of state.plane.points) if (group) count.set(group, (count.get(group) ?? 0) + 1);
    state.plane.groups = [...count.keys()].sort((a, b) => count.get(b) - count.get(a) || a.localeCompare(b)).slice(0, GROUP_COLOURS);
    $("groups").replaceChildren(...state.plane.groups.map((group, i) => element("li", {}, element("span", { className: `dot group-${i}` }), group)));
  }
  go(state.here ?? state.plane.points[0]);
}

function go(point) {
  state.here = point;
  $("here").textContent = title(point);
  $("like").hidden = false;
  drawPlane();
}

function drawPlane() {
  if (state.plane && !$("way-map").hidden) state.plane.places = drawMap($("map"), state.plane.points, state.plane.groups, state.here);
}

function mapKeys(event) {
  const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (!state.here || !(step || event.key === "Enter")) return;
  event.preventDefault();
  if (step) go(neighbour(state.plane.points, state.here, step)); else play(state.here);
}

function mapPointer(event, act) {
  if (!state.plane) return;
  const { left, top } = $("map").getBoundingClientRect();
  const far = ([x, y]) => Math.hypot(x - (event.clientX - left), y - (event.clientY - top));
  const distances = state.plane.places.map(far);
  const least = Math.min(...distances);
  if (least < 24) act(state.plane.points[distances.indexOf(least)]);
}

// --- libraries

function library() { return state.libraries.find((one) => one.name === $("library").value); }

async function loadLibraries(chosenName) {
  state.libraries = await ask("/api/indexes");
  const name = chosenName ?? $("library").value;
  $("library").replaceChildren(...state.libraries.map((one) => element("option", { value: one.name, textContent: `${one.name} (${one.songs})` })));
  if (state.libraries.some((one) => one.name === name)) $("library").value = name;
  changeLibrary();
}

function changeLibrary() {
  Object.assign(state, { tags: [], chosen: [], list: [], plane: null, here: null });
  chosen();
  clear();
  $("bar").hidden = $("player").paused;
  showWays();
}

function clear() {
  $("answers").replaceChildren();
  $("save").hidden = true;
  state.shown = state.asked += 1; // what is still on its way is not shown
  say("");
}

function showWays() {
  const parts = library()?.parts ?? {};
  const every = Object.keys(PARTS);
  const shown = every.filter((way) => parts[PARTS[way]]);
  if (!shown.includes(state.way)) state.way = shown[0] ?? "";
  $("ways").replaceChildren(...shown.map((way) => {
    const tab = element("button", { type: "button", id: `tab-${way}`, textContent: T[`way-${way}`] });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(way === state.way));
    tab.setAttribute("aria-controls", `way-${way}`);
    tab.tabIndex = way === state.way ? 0 : -1;
    tab.addEventListener("click", () => { state.way = way; clear(); showWays(); $(`tab-${way}`).focus(); });
    return tab;
  }));
  for (const way of every) $(`way-${way}`).hidden = way !== state.way;
  const missing = [...new Set(every.filter((way) => !shown.includes(way)).map((way) => PARTS[way]))];
  $("missing").hidden = !missing.length || !library();
  $("missing-command").textContent = `humfind index MUSIC --out INDEX --parts ${missing.join(",")}`;
  const load = { hum: async () => drawLive($("melody"), []), words: loadTags, map: loadMap }[state.way];
  load?.().catch((error) => say(error.message));
}

function tabKeys(event) {
  const tabs = [...$("ways").children];
  const at = tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next !== undefined) { tabs[(next + tabs.length) % tabs.length].click(); event.preventDefault(); }
}

async function loadFolders() {
  const folders = await ask("/api/folders");
  $("folder").replaceChildren(...folders.map((one) => element("option", { value: one.id, textContent: `${one.name}: ${T.files(one.files)}` })));
  $("adding").hidden = !folders.length;
}

async function addFolder(event) {
  event.preventDefault();
  const parts = [...$("add").querySelectorAll("input:checked")].map((box) => box.value);
  try {
    await post("/api/folders", { id: $("folder").value, parts });
    $("add").hidden = true;
    $("adding").setAttribute("aria-expanded", "false");
    follow();
  } catch (error) { say(error.message); }
}

// What is being built, until it is done.
async function follow() {
  let before = "";
  for (;;) {
    let builds;
    try {
      ({ builds } = await ask("/api/health"));
    } catch (error) { say(error.message); return; }
    const running = builds.find((one) => one.state === "building");
    $("building").hidden = !running;
    if (!running) {
      const ended = builds.find((one) => one.name === before) ?? builds.find((one) => one.state === "failed" && !state.libraries.length);
      if (ended) await loadLibraries(ended.name).catch((error) => say(error.message));
      if (ended) say(ended.state === "done" ? T.built(ended.name) : T.buildFailed(ended.name, ended.error));
      return;
    }
    if (!state.libraries.length && !before) say(T.preparing(running.name));
    before = running.name;
    $("building-what").textContent = T.building(running.name, T.steps[running.step] ?? T.tracking, running.share);
    $("share").value = running.share;
    await new Promise((done) => { setTimeout(done, 500); });
  }
}

function dropped(event) {
  const file = event.dataTransfer?.files[0];
  if (!file || !library()) return;
  if (state.way === "sound") searchSound(file);
  else if (library().parts.melody) { state.way = "hum"; showWays(); search("/api/search", {}, file); }
}

// --- the page

function write() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = T[one.dataset.text];
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", T[one.dataset.label]);
  for (const one of document.querySelectorAll("[data-placeholder]")) one.placeholder = T[one.dataset.placeholder];
}

function picked(input, act) {
  $(input).addEventListener("change", (event) => {
    const file = event.target.files[0];
    event.target.value = ""; // the same file may be given again
    if (file) act(file);
  });
}

function listen() {
  recordButton();
  picked("hum-file", (file) => search("/api/search", {}, file));
  picked("sound-file", searchSound);
  $("library").addEventListener("change", changeLibrary);
  $("adding").addEventListener("click", () => {
    $("add").hidden = !$("add").hidden;
    $("adding").setAttribute("aria-expanded", String(!$("add").hidden));
  });
  $("add").addEventListener("submit", addFolder);
  $("words-form").addEventListener("submit", (event) => { event.preventDefault(); search("/api/tag", { words: $("words").value }); });
  $("words").addEventListener("input", complete);
  $("track").addEventListener("input", offer);
  $("make").addEventListener("click", makePlaylist);
  $("save").addEventListener("click", saveList);
  $("ways").addEventListener("keydown", tabKeys);
  $("map").addEventListener("keydown", mapKeys);
  $("map").addEventListener("pointermove", (event) => mapPointer(event, go));
  $("map").addEventListener("click", (event) => mapPointer(event, (point) => { go(point); play(point); }));
  $("like").addEventListener("click", () => search("/api/similar", { song: state.here.music_id }));
  $("player").addEventListener("ended", playNext);
  $("player").addEventListener("error", () => { $("playing").textContent = T.noSong(title(state.playing)); });
  window.addEventListener("resize", drawPlane);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); dropped(event); });
}

async function start() {
  if (location.search) history.replaceState(null, "", "/"); // the token is a cookie by now
  write();
  listen();
  try {
    loadFolders().catch((error) => say(error.message)); // which may be many
    await loadLibraries();
    if (!state.libraries.length) say(T.noLibrary);
    await follow();
  } catch (error) { say(error.message); }
}

start();

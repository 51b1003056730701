/**
 * The page: joins the call, the devices and the conversation to what is seen, heard and pressed.
 *
 * For consoles and tests there is `window.smallrtc`, described at the end of this file.
 */

import { Call } from "./call.js";
import { Device, NONE, isSecure } from "./devices.js";
import { Conversation, typed } from "./messages.js";
import { Ear, Meter } from "./meters.js";
import { renderNote } from "./notes.js";
import { PLOTS, Plot, shown } from "./plots.js";
import { end, markdown } from "./report.js";
import { Refused, Signalling, Unreachable } from "./signalling.js";
import { Statistics } from "./statistics.js";
import { Transcript } from "./transcript.js";
import { stateWords } from "./words.js";

const STATUS_EVERY = 3_000; // ms between looks at the server, for a broken reload
const EVENTS_KEPT = 200;

const $ = (id) => document.getElementById(id);
const signalling = new Signalling(new URL(".", location.href), new URLSearchParams(location.search).get("token"));
const call = new Call(signalling);
const statistics = new Statistics();
const transcript = new Transcript($("lines"), $("announcer"));
const conversation = new Conversation((line) => transcript.show(line));
const ears = { you: new Ear(), bot: new Ear() };
const meters = { you: new Meter($("meter-you")), bot: new Meter($("meter-bot")) };
const plots = PLOTS.map((what) => new Plot(what, $("plots")));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const events = []; // for the report
let server = {};
let serverTrouble = null;
let callTrouble = null;
let context = null;
let muted = false;
let talking = false;

// What was chosen is kept in the browser, where that is allowed

function remembered(name, otherwise) {
  try {
    return localStorage.getItem(`smallrtc.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`smallrtc.${name}`, value);
  } catch {
    // a private window: the choice lasts as long as the page
  }
}

// Devices

const microphone = new Device("microphone", remembered("microphone", ""), () => {
  const clean = $("clean").checked;
  return { echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean };
});
const camera = new Device("camera", NONE, () => ({ width: { ideal: 640 }, height: { ideal: 480 } }));

microphone.addEventListener("change", () => {
  updateMicrophone();
  call.setTrack(0, microphone.track);
  if (context) ears.you.attach(context, microphone.track);
  renderDeviceTrouble();
});

camera.addEventListener("change", () => {
  call.setTrack(1, camera.track);
  call.setEnabled(1, camera.track !== null);
  $("self").srcObject = camera.track && new MediaStream([camera.track]);
  $("self").hidden = !camera.track;
  renderDeviceTrouble();
});

function updateMicrophone() {
  const on = $("push-to-talk").checked ? talking : !muted;
  if (microphone.track) microphone.track.enabled = on;
  call.setEnabled(0, on && microphone.track !== null);
  $("meter-you").classList.toggle("off", !on);
  $("mute").setAttribute("aria-pressed", String(muted));
  $("talk").classList.toggle("talking", talking);
}

async function openDevices() {
  await Promise.all([microphone.open(), camera.open()]);
  await fillPickers();
}

async function fillPickers() {
  await fillPicker($("microphone"), microphone, 1);
  await fillPicker($("camera"), camera, 2);
}

/** The fixed entries of a picker stay, those of devices come between them or behind. */
async function fillPicker(select, device, at) {
  const found = await device.list();
  for (const option of [...select.options]) if (option.dataset.device) option.remove();
  for (const [index, { id, label }] of found.entries()) {
    const option = new Option(label, id);
    option.dataset.device = "yes";
    select.add(option, at + index);
  }
  const known = [...select.options].some((option) => option.value === device.choice);
  if (!known) device.choose("");
  select.value = device.choice;
}

async function choose(device, value) {
  device.choose(value);
  if (call.isOn) await device.open();
  await fillPickers();
}

function setMuted(value) {
  muted = value;
  updateMicrophone();
}

function setTalking(value) {
  if (talking === value) return;
  talking = value;
  updateMicrophone();
}

function renderPushToTalk() {
  const chosen = $("push-to-talk").checked;
  $("mute").hidden = chosen;
  $("talk").hidden = !chosen;
  talking = false;
  updateMicrophone();
}

// Sound and pictures

function wakeContext() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume();
}

call.addEventListener("link", ({ detail: link }) => {
  statistics.linkChanged();
  const [sound, picture] = link.transceivers.map((each) => each.receiver.track);
  $("voice").srcObject = new MediaStream([sound]);
  playVoice();
  if (context) ears.bot.attach(context, sound);
  watchPicture(picture);
});

async function playVoice() {
  try {
    await $("voice").play();
    $("unblock").hidden = true;
  } catch (error) {
    $("unblock").hidden = error.name !== "NotAllowedError"; // else it was only replaced, by the next link's
  }
}

function watchPicture(track) {
  const video = $("picture");
  video.srcObject = new MediaStream([track]);
  const show = () => (video.hidden = track.muted || !video.videoWidth || video.srcObject?.getTracks()[0] !== track);
  track.onmute = track.onunmute = video.onresize = show;
  video.play().catch(() => {}); // muted, so that no browser refuses; it is rejected when the next link replaces it
  show();
}

function silence() {
  $("voice").srcObject = $("picture").srcObject = null;
  $("picture").hidden = $("unblock").hidden = true;
  ears.bot.attach(context, null);
}

// The call

function toggleCall() {
  if (call.isOn) return call.hangUp();
  wakeContext();
  callTrouble = null;
  statistics.clear();
  conversation.endAll();
  return call.call(openDevices());
}

call.addEventListener("state", ({ detail: { state, detail } }) => {
  log(stateWords(state, detail));
  if (state === "calling" && !microphone.track && !microphone.trouble) openDevices(); // called again by itself
  if (state === "failed") callTrouble = { what: detail.error.message, cure: detail.error.hint ?? "" };
  if (state === "connected" || state === "ready") callTrouble = null;
  if (!call.isOn) closeAll();
  if (state === "connected" && $("push-to-talk").checked && document.activeElement === $("call")) $("talk").focus();
  renderCall();
});

function closeAll() {
  conversation.endAll();
  silence();
  microphone.close();
  camera.close();
}

call.addEventListener("fatal", ({ detail: { sentence, traceback } }) => {
  callTrouble = { what: `The bot failed: ${sentence}`, cure: "", traceback };
  log(`the bot failed: ${sentence}`);
  renderCall();
});

call.addEventListener("note", ({ detail: text }) => {
  conversation.event(text);
  log(text);
});

call.addEventListener("message", ({ detail: message }) => {
  conversation.received(message);
  if (message?.label === "rtvi-ai" && message.type !== "bot-llm-text") log(`received ${message.type}`);
});

call.addEventListener("sent", ({ detail: message }) => {
  if (message.type !== "client-ready") conversation.sent(message);
});

function log(text) {
  events.push(`${new Date().toTimeString().slice(0, 8)} ${text}`);
  if (events.length > EVENTS_KEPT) events.shift();
}

function renderCall() {
  const { state, detail } = call;
  const up = state === "connected" || state === "ready";
  $("state-line").dataset.state = detail.failed ? "failed" : state;
  say($("state"), stateWords(state, detail));
  $("call").dataset.on = String(call.isOn);
  say($("call"), call.isOn ? "Hang up" : "Call");
  $("text").disabled = $("send").disabled = $("reconnect").disabled = !up;
  renderFigures();
  renderNote($("trouble"), callTrouble ?? (call.isOn || state === "failed" ? null : serverTrouble));
}

function renderFigures() {
  const { last } = statistics;
  const alive = call.isOn && call.since !== null;
  $("duration").textContent = alive ? clock(seconds()) : "";
  $("round-trip").textContent = alive && last?.roundTrip != null ? `round trip ${shown(last.roundTrip)} ms` : "";
  for (const plot of plots) plot.draw(statistics.samples);
  $("summary").textContent = last
    ? `round trip ${shown(last.roundTrip)} ms · jitter ${shown(last.jitter)} ms · ` +
      `loss ${shown(last.lostIn)} % · buffer ${shown(last.buffer)} ms`
    : "";
  renderPath(statistics.path);
}

function renderPath(path) {
  const rows = path && {
    path: `${at(path.local)} → ${at(path.remote)}`,
    encryption: [path.dtls, path.srtp].filter(Boolean).join(", "),
    codec: [path.sent && `${path.sent} out`, path.heard && `${path.heard} in`].filter(Boolean).join(", "),
    connection: call.pcId,
  };
  const said = JSON.stringify(rows);
  if ($("path").dataset.said === said) return;
  $("path").dataset.said = said;
  $("path").replaceChildren();
  for (const [name, value] of Object.entries(rows ?? {})) {
    if (!value) continue;
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    $("path").append(term, description);
  }
}

function at(candidate) {
  return candidate ? `${candidate.type} ${candidate.protocol} ${candidate.address || "hidden"}:${candidate.port}` : "?";
}

function seconds() {
  return call.since === null ? null : Math.floor((performance.now() - call.since) / 1000);
}

function clock(count) {
  return `${Math.floor(count / 60)}:${String(count % 60).padStart(2, "0")}`;
}

/** Screen readers read a live region anew for each change, so that the same words are not written twice. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Notes

function renderDeviceTrouble() {
  const trouble = microphone.trouble ?? camera.trouble;
  const device = microphone.trouble ? microphone : camera;
  const listening = device === microphone ? " You can listen, and type." : "";
  const retry = { label: `Try the ${device.kind} again`, run: () => (wakeContext(), device.open().then(fillPickers)) };
  const action = isSecure() ? retry : null;
  renderNote($("device-trouble"), trouble && { what: trouble.what, cure: trouble.cure + listening, action });
}

function renderBroken() {
  const traceback = server.error;
  const what = `The last edit of ${server.bot ?? "the bot"} does not load. Calls get the last version that did.`;
  renderNote($("broken-reload"), traceback ? { what, cure: "", traceback } : null);
}

// The server

async function lookAtServer() {
  try {
    server = (await signalling.status()) ?? {};
    serverTrouble = null;
    call.version = server.version ?? "";
    call.sawInstance(server.instance);
    $("bot").textContent = server.bot ?? "smallrtc";
    document.title = server.bot ? `${server.bot} · smallrtc` : "smallrtc";
    renderBroken();
  } catch (error) {
    serverTrouble = troubleOf(error);
  }
  renderCall();
}

function troubleOf(error) {
  if (error instanceof Unreachable)
    return { what: error.message, cure: "Start it with `smallrtc serve`; this page notices." };
  if (error instanceof Refused) return { what: error.message, cure: error.hint };
  throw error;
}

let nextLook = 0;

/** Look now, and every few seconds while the page is seen. */
async function watchServer() {
  clearTimeout(nextLook);
  if (document.hidden) return; // until it is seen again
  if (call.state !== "waiting") await lookAtServer(); // the call looks itself
  clearTimeout(nextLook);
  nextLook = setTimeout(watchServer, STATUS_EVERY);
}

// Figures, once a second, and levels

async function sample() {
  const pc = call.link?.isOpen ? call.link.pc : null;
  if (pc) await statistics.take(pc);
  renderFigures();
}

function animate() {
  const now = performance.now();
  meters.you.show(ears.you.level(), now);
  meters.bot.show(ears.bot.level(), now);
  if (calm.matches) setTimeout(animate, 250);
  else requestAnimationFrame(animate);
}

// The report

function report() {
  return markdown({
    server,
    call,
    statistics,
    events,
    seconds: seconds(),
    trouble: callTrouble ?? microphone.trouble,
    microphone: microphone.track ? microphone.track.label || "on" : microphone.isWanted ? "none" : "not wanted",
  });
}

async function copyReport() {
  const text = report();
  try {
    await navigator.clipboard.writeText(text);
    say($("copied"), "Copied, as Markdown");
  } catch {
    $("report").hidden = false; // no clipboard off https, or not allowed
    $("report").value = text;
    $("report").select();
    say($("copied"), "Here it is, to be copied by hand");
  }
  setTimeout(() => say($("copied"), ""), 6_000);
}

// What is pressed

$("call").onclick = toggleCall;
$("mute").onclick = () => setMuted(!muted);
$("copy").onclick = copyReport;
$("reconnect").onclick = () => call.restart();
$("unblock").onclick = () => (wakeContext(), playVoice());
$("statistics").ontoggle = renderFigures;
$("microphone").onchange = ({ target }) => {
  remember("microphone", target.value);
  choose(microphone, target.value);
};
$("camera").onchange = ({ target }) => choose(camera, target.value);
$("clean").onchange = ({ target }) => {
  remember("clean", target.checked);
  choose(microphone, microphone.choice);
};
$("push-to-talk").onchange = ({ target }) => {
  remember("push-to-talk", target.checked);
  renderPushToTalk();
};
$("show-events").onchange = ({ target }) => {
  remember("events", target.checked);
  $("lines").classList.toggle("no-events", !target.checked);
};

$("talk").onpointerdown = (event) => {
  $("talk").setPointerCapture(event.pointerId);
  setTalking(true);
};
$("talk").onpointerup = $("talk").onpointercancel = () => setTalking(false);
$("talk").oncontextmenu = (event) => event.preventDefault(); // a long press on a phone

$("say").onsubmit = (event) => {
  event.preventDefault();
  const trouble = sayTyped($("text").value);
  say($("say-trouble"), trouble);
  $("say-trouble").hidden = !trouble;
  if (!trouble) $("text").value = "";
};

/** Send a typed line; returns what is wrong with it, or "". */
function sayTyped(line) {
  try {
    const { text, message } = typed(line);
    if (message) call.send(message);
    else if (text)
      call.sendRtvi("send-text", { content: text, options: { run_immediately: true, audio_response: true } });
    return "";
  } catch (error) {
    return error.message;
  }
}

const TYPING = "input:not([type=checkbox]), textarea, select";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.code === "Space" && isTalkKey(event.target)) {
    event.preventDefault();
    if (!event.repeat) setTalking(true);
  } else if (event.key.toLowerCase() === "m" && !event.target.matches(TYPING) && !$("push-to-talk").checked) {
    setMuted(!muted);
  }
});
document.addEventListener("keyup", (event) => {
  if (event.code !== "Space" || !talking) return;
  event.preventDefault();
  setTalking(false);
});
window.addEventListener("blur", () => setTalking(false));

/** Space is push to talk, unless what has the focus needs it. */
function isTalkKey(target) {
  return $("push-to-talk").checked && (target === $("talk") || !target.closest(`${TYPING}, input, button, summary, a`));
}

navigator.mediaDevices?.addEventListener?.("devicechange", fillPickers);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renderFigures);
window.addEventListener("resize", renderFigures);
document.addEventListener("visibilitychange", watchServer);
window.addEventListener("pagehide", () => call.isOn && call.hangUp());

$("clean").checked = remembered("clean", "true") === "true";
$("push-to-talk").checked = remembered("push-to-talk", "false") === "true";
$("show-events").checked = remembered("events", "true") === "true";
$("lines").classList.toggle("no-events", !$("show-events").checked);

fillPickers();
renderPushToTalk();
renderCall();
watchServer();
setInterval(sample, 1_000);
animate();

/**
 * For consoles and tests.
 *
 * - `call`: the call (`call.js`): `state`, `pcId`, `call()`, `hangUp()`, `restart()`, `send(message)`, `link.pc`,
 *   and the events `state`, `message`, `sent`, `note`, `fatal`, `link`.
 * - `hear("bot" | "you")`: `{level, pitch}` of this moment, in dB of full scale and Hz.
 * - `statistics.samples`: the figures of the last minute, one object a second.
 * - `report()`: the report as Markdown.
 */
window.smallrtc = {
  call,
  statistics,
  hear: (who) => ({ level: ears[who].level(), pitch: ears[who].pitch() }),
  report,
};

/** A report on a call, in Markdown, to paste into an issue. No token, and of addresses only what kind they are. */

import { shown } from "./plots.js";
import { spread } from "./statistics.js";
import { scopeOf, stateWords } from "./words.js";

const TOLD = 40; // of the last events

const ROWS = [
  ["round trip", "roundTrip", "ms"],
  ["jitter", "jitter", "ms"],
  ["jitter buffer", "buffer", "ms"],
  ["loss in", "lostIn", "%"],
  ["loss out", "lostOut", "%"],
  ["bitrate in", "bitrateIn", "kbit/s"],
  ["bitrate out", "bitrateOut", "kbit/s"],
];

/** `about` is all that `app.js` knows: server, call, statistics, devices, trouble, events. */
export function markdown(about) {
  return [
    "## smallrtc call report",
    "",
    ...facts(about)
      .filter(([, value]) => value)
      .map(([name, value]) => `- ${name}: ${value}`),
    "",
    ...figures(about.statistics),
    ...trouble(about.trouble),
    ...events(about.events),
  ].join("\n");
}

function facts({ server, call, statistics, seconds, microphone, trouble }) {
  const { path, totals } = statistics;
  const state = `${stateWords(call.state, call.detail)}${trouble && call.state !== "failed" ? "" : reason(call)}`;
  return [
    ["when", new Date().toISOString()],
    ["server", [`smallrtc ${server.version ?? "?"}`, server.bot].filter(Boolean).join(", ")],
    ["page", `${location.protocol}//${scopeOf(location.hostname) === "private" ? location.host : hostKind()}`],
    ["browser", navigator.userAgent],
    ["state", state],
    ["duration", seconds === null ? "" : `${seconds} s`],
    ["microphone", microphone],
    ["path", path && `${end(path.local)} → ${end(path.remote)}`],
    ["encryption", path && [path.dtls, path.srtp].filter(Boolean).join(", ")],
    ["codec", path && [path.sent && `${path.sent} out`, path.heard && `${path.heard} in`].filter(Boolean).join(", ")],
    ["packets in", totals && `${totals.received}, ${totals.lost} lost; ${concealed(totals)} % of the sound made up`],
  ];
}

function reason({ state, detail }) {
  return state === "failed" && detail.error ? `: ${detail.error.message}` : "";
}

function hostKind() {
  return location.hostname.endsWith("localhost") ? location.host : "(a public name)";
}

/** A candidate without its address. */
export function end(candidate) {
  if (!candidate) return "?";
  const { type, protocol, relayProtocol, address } = candidate;
  const family = address.includes(":") ? "IPv6" : "IPv4";
  const kind = scopeOf(address) === "hidden" ? "hidden address" : `${scopeOf(address)} ${family}`;
  return `${type} ${relayProtocol ? `${relayProtocol} to TURN` : protocol} (${kind})`;
}

function concealed({ concealed: made, samples }) {
  return samples ? ((made / samples) * 100).toFixed(1) : "0";
}

function figures({ samples }) {
  if (!samples.length) return [];
  const rows = ROWS.map(([name, figure, unit]) => [name, unit, spread(samples, figure)]).filter(([, , found]) => found);
  return [
    `The last ${samples.length} s:`,
    "",
    "| | lowest | median | highest |",
    "|---|---:|---:|---:|",
    ...rows.map(
      ([name, unit, { low, median, high }]) =>
        `| ${name}, ${unit} | ${shown(low)} | ${shown(median)} | ${shown(high)} |`,
    ),
    "",
  ];
}

function trouble(found) {
  if (!found) return [];
  const traceback = found.traceback ? ["", "```", found.traceback.trimEnd(), "```"] : [];
  return ["### What failed", "", [found.what, found.cure].filter(Boolean).join(" "), ...traceback, ""];
}

function events(lines) {
  if (!lines.length) return [];
  return ["### Events", "", "```", ...lines.slice(-TOLD), "```", ""];
}

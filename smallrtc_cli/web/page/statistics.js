/**
 * Figures of a call from `RTCPeerConnection.getStats()`: one sample a second, the last minute kept.
 *
 * A figure that a browser does not give is null.
 */

const KEPT = 60;

/** What may be plotted, in ms, % and kbit/s. */
export const FIGURES = ["roundTrip", "jitter", "buffer", "lostIn", "lostOut", "bitrateIn", "bitrateOut"];

export class Statistics {
  #before = null;

  constructor() {
    this.clear();
  }

  clear() {
    this.samples = [];
    this.path = null;
    this.totals = null;
    this.linkChanged();
  }

  /** Counters begin anew with a new peer connection. */
  linkChanged() {
    this.#before = null;
  }

  get last() {
    return this.samples.at(-1) ?? null;
  }

  /** Take a sample of a peer connection. */
  async take(pc) {
    const report = await pc.getStats();
    const counters = read(report);
    this.samples.push(difference(this.#before, counters));
    if (this.samples.length > KEPT) this.samples.shift();
    this.#before = counters;
    this.path = pathOf(report);
    this.totals = counters;
  }
}

/** Lowest, median and highest of a figure over the last minute; null if there is none. */
export function spread(samples, figure) {
  const values = samples
    .map((each) => each[figure])
    .filter((value) => value !== null)
    .sort((a, b) => a - b);
  if (!values.length) return null;
  return { low: values[0], median: values[values.length >> 1], high: values.at(-1) };
}

function read(report) {
  const found = {
    at: 0,
    bytesIn: 0,
    bytesOut: 0,
    received: 0,
    lost: 0,
    concealed: 0,
    samples: 0,
    delay: null,
    emitted: 0,
  };
  Object.assign(found, { roundTrip: null, jitter: null, lostOut: null, frames: 0 });
  const pair = selectedPair(report);
  const ms = (seconds) => (typeof seconds === "number" ? seconds * 1000 : null);
  found.roundTrip = ms(pair?.currentRoundTripTime);
  for (const each of report.values()) {
    if (each.type === "inbound-rtp") {
      found.bytesIn += each.bytesReceived ?? 0;
      if (each.kind === "video") found.frames += each.framesDecoded ?? 0;
      else readAudio(found, each, ms);
    } else if (each.type === "outbound-rtp") {
      found.bytesOut += each.bytesSent ?? 0;
    } else if (each.type === "remote-inbound-rtp" && each.kind === "audio") {
      found.roundTrip ??= ms(each.roundTripTime);
      found.lostOut = typeof each.fractionLost === "number" ? each.fractionLost * 100 : null;
    }
    found.at = Math.max(found.at, each.timestamp ?? 0);
  }
  return found;
}

function readAudio(found, each, ms) {
  found.jitter = ms(each.jitter);
  found.received = each.packetsReceived ?? 0;
  found.lost = each.packetsLost ?? 0;
  found.concealed = each.concealedSamples ?? 0;
  found.samples = each.totalSamplesReceived ?? 0;
  found.delay = each.jitterBufferDelay ?? null;
  found.emitted = each.jitterBufferEmittedCount ?? 0;
}

function difference(before, now) {
  const { roundTrip, jitter, lostOut } = now;
  const sample = { roundTrip, jitter, lostOut, buffer: null, lostIn: null, bitrateIn: null, bitrateOut: null };
  if (!before || now.at <= before.at) return sample;
  const seconds = (now.at - before.at) / 1000;
  const grown = (counter) => Math.max(0, now[counter] - before[counter]);
  sample.bitrateIn = (grown("bytesIn") * 8) / 1000 / seconds;
  sample.bitrateOut = (grown("bytesOut") * 8) / 1000 / seconds;
  const packets = grown("lost") + grown("received");
  sample.lostIn = packets ? (grown("lost") / packets) * 100 : 0;
  if (now.delay !== null && grown("emitted")) sample.buffer = (grown("delay") / grown("emitted")) * 1000;
  return sample;
}

function selectedPair(report) {
  const all = [...report.values()];
  const named = all.find((each) => each.type === "transport" && each.selectedCandidatePairId);
  if (named) return report.get(named.selectedCandidatePairId);
  const pairs = all.filter((each) => each.type === "candidate-pair");
  return pairs.find((each) => each.selected) ?? pairs.find((each) => each.nominated && each.state === "succeeded");
}

/** The way that the media takes, and how it is encrypted and coded. */
function pathOf(report) {
  const pair = selectedPair(report);
  if (!pair) return null;
  const all = [...report.values()];
  const transport = all.find((each) => each.type === "transport");
  const coded = (kind) => all.find((each) => each.type === kind && (each.kind ?? each.mediaType) === "audio");
  return {
    local: endOf(report.get(pair.localCandidateId)),
    remote: endOf(report.get(pair.remoteCandidateId)),
    dtls: DTLS[transport?.tlsVersion] ?? transport?.tlsVersion ?? "",
    srtp: transport?.srtpCipher ?? "",
    heard: codecOf(report.get(coded("inbound-rtp")?.codecId)),
    sent: codecOf(report.get(coded("outbound-rtp")?.codecId)),
  };
}

const DTLS = { FEFF: "DTLS 1.0", FEFD: "DTLS 1.2", FEFC: "DTLS 1.3" };

function endOf(candidate) {
  if (!candidate) return null;
  const { candidateType, protocol, relayProtocol, port } = candidate;
  return { type: candidateType, protocol, relayProtocol, address: candidate.address ?? candidate.ip ?? "", port };
}

function codecOf(codec) {
  return codec ? `${codec.mimeType.replace("audio/", "")} ${codec.clockRate / 1000} kHz` : "";
}

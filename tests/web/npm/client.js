// Pipecat's published client, for test_npm_client.py: what it tells is noted, and nothing in it is changed.
//
// Its usual way to the microphone loads a script from a host of Daily's; `WavMediaManager`, of the same package,
// needs nothing but the browser.

import { LogLevel, PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

const events = [];
const told = (name, value) => events.push({ name, value });

const options = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
const transport = new SmallWebRTCTransport({ mediaManager: new WavMediaManager(), ...options });
const client = new PipecatClient({ transport, enableMic: true, enableCam: false });
client.setLogLevel(LogLevel.WARN); // the test reads the console

client.on(RTVIEvent.TransportStateChanged, (state) => told("state", state));
client.on(RTVIEvent.BotStarted, (answer) => told("started", answer));
client.on(RTVIEvent.Connected, () => told("connected"));
client.on(RTVIEvent.Disconnected, () => told("disconnected"));
client.on(RTVIEvent.BotReady, (about) => told("bot-ready", about));
client.on(RTVIEvent.BotDisconnected, () => told("bot-disconnected"));
client.on(RTVIEvent.ServerMessage, (message) => told("server-message", message));
client.on(RTVIEvent.MessageError, (message) => told("message-error", message.data));
client.on(RTVIEvent.Error, (message) => told("error", message.data));
client.on(RTVIEvent.TrackStarted, (track, participant) => { if (!participant?.local) listen(track); });

const context = new AudioContext();
const analyser = new AnalyserNode(context, { fftSize: 8192 });
const player = new Audio(); // Chromium gives WebAudio no sound of a remote track that nothing else plays
player.muted = true;

function listen(track) {
  if (track.kind !== "audio") return;
  player.srcObject = new MediaStream([track]);
  player.play();
  context.createMediaStreamSource(player.srcObject).connect(analyser);
}

/** Level in dBFS (RMS) and pitch in Hz (upward crossings of zero) of the last 170 ms. */
function hear() {
  const sound = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(sound);
  const power = sound.reduce((sum, sample) => sum + sample * sample, 0) / sound.length;
  const rises = [...sound.keys()].filter((at) => at > 0 && sound[at - 1] < 0 && sound[at] >= 0);
  const pitch = rises.length > 1 ? ((rises.length - 1) * context.sampleRate) / (rises.at(-1) - rises[0]) : 0;
  return { level: power > 0 ? 10 * Math.log10(power) : -120, pitch };
}

window.pipecat = { client, transport, events, listen, hear };

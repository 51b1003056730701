/**
 * The conversation as lines, from the messages of a call. Pure: knows no page.
 *
 * A line is `{id, who, text, rest, time, final, sent}`; `who` is `you`, `bot`, `event` or `message`. `rest` is what the
 * bot will say but has not said yet. Bots tell the same words several times over (as tokens, as text that is
 * spoken, as transcription): of a turn, the best telling that has come is shown, not all of them.
 */

/** From the best telling of a turn to the least. */
const TELLINGS = {
  bot: ["bot-output", "bot-transcription", "bot-tts-text", "bot-llm-text"],
  you: ["user-input", "user-transcription"],
};

/** Too many to be read: shown elsewhere, or the raw form of what is. */
const SILENT = new Set([
  "bot-audio-level",
  "user-audio-level",
  "bot-tts-audio",
  "stt-raw-text",
  "llm-raw-text",
  "tts-raw-text",
  "user-llm-text",
  "bot-llm-marker",
]);

/** Events that begin or end a turn of the bot. */
const BOT_BEGINS = new Set(["bot-llm-started"]);
const BOT_ENDS = new Set(["bot-stopped-speaking", "bot-interrupted"]);

export class Conversation {
  #changed;
  #count = 0;
  #turn = null; // the turn that goes on: {line, tellings, segments}
  #segments = new Map(); // of the bot's output, to the turn that each belongs to
  #best = { bot: Infinity, you: Infinity };

  /** `changed(line)` is called for each new line, and again whenever it changes. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** A message that came over the channel. */
  received(message) {
    if (message?.label !== "rtvi-ai") return this.#line("message", JSON.stringify(message), { sent: false });
    const { type, data } = message;
    if (type === "bot-output") return this.#botOutput(data ?? {});
    if (type === "user-input") return this.#userInput(data ?? {});
    if (type === "user-transcription") return this.#heard(type, data ?? {});
    if (TELLINGS.bot.includes(type)) return this.#told("bot", type, { add: String(data?.text ?? "") });
    if (BOT_BEGINS.has(type) || BOT_ENDS.has(type)) this.#endTurn("bot");
    if (!SILENT.has(type)) this.event(eventWords(type, data));
    return undefined;
  }

  /** A message that went out. */
  sent(message) {
    if (message.label !== "rtvi-ai") this.#line("message", JSON.stringify(message), { sent: true });
    else if (message.type === "send-text") this.#line("you", message.data.content, { typed: true });
    else this.event(`sent ${eventWords(message.type, undefined)}`);
  }

  /** Something that happened. */
  event(text) {
    this.#line("event", text);
  }

  /** A new call: what was half said stays as it is. */
  endAll() {
    this.#endTurn();
    this.#segments.clear();
    this.#best = { bot: Infinity, you: Infinity };
  }

  #line(who, text, more = {}) {
    if (who === "you" || who === "bot") this.#endTurn();
    const line = { id: ++this.#count, who, text, rest: "", time: new Date(), final: true, ...more };
    this.#changed(line);
    return line;
  }

  #userInput(data) {
    if (data.input_type === "backchannel") return this.event(`you, aside: ${data.text}`);
    if (data.input_type === "chat") return this.event(`the bot read: ${data.text}`); // shown when it was sent
    return this.#heard("user-input", data);
  }

  #heard(type, { text, final }) {
    this.#told(
      "you",
      type,
      final === false ? { interim: String(text ?? "") } : { add: String(text ?? ""), spaced: true },
    );
  }

  #botOutput(data) {
    if (data.spoken === false && data.will_be_spoken === undefined) return; // the first generation sends all text twice
    const { accumulated_text: said, remaining_text: rest } = data.spoken_progress ?? {};
    const segment = { text: said ?? String(data.text ?? ""), rest: rest ?? "" };
    this.#told("bot", "bot-output", { segment, id: data.segment_id ?? Symbol("one of its own") });
  }

  /** One more telling of what a side says. */
  #told(who, type, { add = "", spaced = false, interim = "", segment, id }) {
    const turn = (id !== undefined && this.#segments.get(id)) || this.#turnOf(who);
    const telling = turn.tellings.get(type) ?? { text: "", interim: "", segments: new Map() };
    turn.tellings.set(type, telling);
    telling.text = joined(telling.text, add, spaced);
    telling.interim = interim;
    if (segment) {
      telling.segments.set(id, segment);
      this.#segments.set(id, turn);
    }
    this.#best[who] = Math.min(this.#best[who], TELLINGS[who].indexOf(type));
    this.#show(turn, who);
  }

  #turnOf(who) {
    if (this.#turn?.line.who !== who) {
      const line = { ...this.#blank(who) };
      this.#endTurn();
      this.#turn = { line, tellings: new Map() };
    }
    return this.#turn;
  }

  #blank(who) {
    return { id: ++this.#count, who, text: "", rest: "", time: new Date(), final: false };
  }

  #show({ line, tellings }, who) {
    const known = TELLINGS[who].filter((type) => tellings.has(type));
    const type = known.find((each) => TELLINGS[who].indexOf(each) <= this.#best[who]) ?? known[0];
    const { text, interim, segments } = tellings.get(type);
    const pieces = [...segments.values()];
    line.text = [text, ...pieces.map((each) => each.text)].reduce((all, each) => joined(all, each, true), "").trim();
    line.rest = [interim, ...pieces.map((each) => each.rest)].reduce((all, each) => joined(all, each, true), "").trim();
    if (line.text || line.rest) this.#changed(line);
  }

  #endTurn(who) {
    const turn = this.#turn;
    if (!turn || (who && turn.line.who !== who)) return;
    this.#turn = null;
    turn.line.final = true;
    if (turn.line.text || turn.line.rest) this.#changed(turn.line);
  }
}

function joined(before, after, spaced) {
  const gap = spaced && before && after && !/\s$/.test(before) && !/^\s/.test(after);
  return before + (gap ? " " : "") + after;
}

/** An RTVI message in one line. */
export function eventWords(type, data) {
  const said = details(type, data);
  return said ? `${type} · ${said}` : String(type);
}

function details(type, data) {
  if (data === null || data === undefined) return "";
  switch (type) {
    case "bot-ready":
      return [data.about?.library, data.about?.library_version, `RTVI ${data.version}`].filter(Boolean).join(" ");
    case "error":
    case "error-response":
      return String(data.error ?? "");
    case "metrics":
      return metrics(data);
    case "llm-function-call-started":
    case "llm-function-call-in-progress":
    case "llm-function-call-stopped":
      return `${data.function_name ?? "function"}${data.arguments ? ` ${JSON.stringify(data.arguments)}` : ""}`;
    case "system-log":
      return String(data.text ?? "");
    default:
      return typeof data === "string" ? data : clipped(JSON.stringify(data));
  }
}

/** Times and counts; a figure of 0 is one that a service did not measure. */
function metrics(data) {
  const words = [];
  for (const [kind, entries] of Object.entries(data)) {
    for (const entry of Array.isArray(entries) ? entries : []) {
      const value = entry.value ?? entry[kind];
      const timed = ["ttfb", "ttfa", "ttfat", "processing"].includes(kind);
      if (typeof value === "number" && value > 0) {
        words.push(`${kind} ${short(entry.processor)} ${timed ? `${value.toFixed(2)} s` : value}`.replace("  ", " "));
      } else if (kind === "tokens") {
        words.push(`tokens ${entry.prompt_tokens ?? 0} in, ${entry.completion_tokens ?? 0} out`);
      }
    }
  }
  return words.join(", ") || "nothing measured";
}

function short(processor) {
  return String(processor ?? "").replace(/#\d+$/, "");
}

function clipped(text) {
  return text.length > 300 ? `${text.slice(0, 300)} …` : text;
}

/** What a typed line means: a JSON object is sent as it is, all else is text. Throws an Error with a sentence. */
export function typed(text) {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{")) return { text: trimmed };
  try {
    return { message: JSON.parse(trimmed) };
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

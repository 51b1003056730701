/**
 * The HTTP side of a call: sessions, offers, candidates and the server's status.
 *
 * Every failure is one of two: `Refused`, with the sentence and the cure that the server sent, or `Unreachable`.
 */

const TIMEOUT = 10_000; // ms; a server gathers candidates before it answers, half a second at most with ours

const TOKEN_HINT = "Open the address that `smallrtc serve` printed, with `?token=` in it.";

/** The server said no. */
export class Refused extends Error {
  constructor(status, sentence, hint) {
    super(sentence);
    this.name = "Refused";
    this.status = status;
    this.hint = hint;
  }

  /** Whether the server, or a proxy before it, says that it cannot serve just now. */
  get passing() {
    return [429, 502, 503, 504].includes(this.status);
  }
}

/** No answer: not running, or not to be reached from here. */
export class Unreachable extends Error {
  constructor(message) {
    super(message);
    this.name = "Unreachable";
  }
}

export class Signalling {
  /** `base` is the URL that the paths are relative to; `token` goes into every request. */
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /** What runs there: `bot`, `version`, and `error`, the traceback of an edit that does not load. */
  status() {
    return this.#request("GET", "status", undefined, 3_000);
  }

  /** Open a session: where offers go, and the ICE servers to use. Servers without sessions take offers directly. */
  async start() {
    const wanted = { transport: "webrtc", enableDefaultIceServers: false, body: {} };
    let answer;
    try {
      answer = await this.#request("POST", "start", wanted);
    } catch (error) {
      if (error instanceof Refused && [404, 405].includes(error.status)) {
        return { path: "api/offer", iceServers: [] };
      }
      throw error;
    }
    if (typeof answer?.sessionId !== "string") {
      throw new Refused(200, "The server's answer to /start has no sessionId.", "");
    }
    const path = `sessions/${encodeURIComponent(answer.sessionId)}/api/offer`;
    return { path, iceServers: answer.iceConfig?.iceServers ?? [] };
  }

  /** Have an offer answered: `{sdp, type, pc_id}`. */
  offer(path, body) {
    return this.#request("POST", path, body);
  }

  /** Hand over candidates that were found after the offer went out. */
  candidates(path, body) {
    return this.#request("PATCH", path, body);
  }

  async #request(method, path, body, timeout = TIMEOUT) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeout);
    try {
      const response = await fetch(new URL(path, this.base), {
        method,
        headers: this.#headers(body),
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: abort.signal,
        cache: "no-store",
      });
      const text = await response.text();
      if (!response.ok) throw refusal(response.status, parsed(text), text);
      return parsed(text);
    } catch (error) {
      if (error instanceof Refused) throw error;
      const why = abort.signal.aborted ? `no answer within ${timeout / 1000} s` : "no connection";
      throw new Unreachable(`The server does not answer (${why}).`);
    } finally {
      clearTimeout(timer);
    }
  }

  #headers(body) {
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return headers;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not ours: a proxy's page, or plain text
  }
}

/** FastAPI servers send a list of findings as `detail`, others call it `info` or send text. */
function refusal(status, answer, text) {
  const found = answer?.detail ?? answer?.info;
  const detail = Array.isArray(found) ? found.map((each) => each?.msg ?? "").join("; ") : found;
  const said =
    typeof detail === "string" && detail ? detail : answer === null && !text.includes("<") ? text.trim() : "";
  const hint = typeof answer?.hint === "string" ? answer.hint : "";
  if (status === 401) {
    return new Refused(status, "The server wants a token.", hint || TOKEN_HINT);
  }
  return new Refused(status, `The server refused with ${status}${said ? `: ${said.slice(0, 300)}` : "."}`, hint);
}

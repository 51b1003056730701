/**
 * What went wrong, in words, and what to do about it. Pure: values in, sentences out.
 *
 * Every answer is `{what, cure}`, the second may be empty.
 */

/** Why the browser gives no microphone or camera; `error` is what getUserMedia threw. */
export function deviceTrouble(kind, error, isSecure) {
  if (!isSecure) {
    return {
      what: `The browser gave no ${kind}: this page is not on https or localhost.`,
      cure: "Start the server with `--https`.",
    };
  }
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return /system/i.test(error.message)
        ? {
            what: `The operating system keeps the ${kind} from this browser.`,
            cure: "Allow it in the system's privacy settings.",
          }
        : {
            what: `The browser was not allowed to use the ${kind}.`,
            cure: "Allow it with the symbol beside the address, then try again.",
          };
    case "NotFoundError":
      return { what: `No ${kind} was found.`, cure: `Connect one, then try again.` };
    case "OverconstrainedError":
      return { what: `The chosen ${kind} is not there any more.`, cure: "Choose another one." };
    case "NotReadableError":
      return {
        what: `The ${kind} cannot be opened.`,
        cure: "Another program may be using it: close that, then try again.",
      };
    default:
      return { what: `The browser gave no ${kind}: ${error.message || error.name}.`, cure: "" };
  }
}

/** The state of a call, for the line at the top. */
export function stateWords(state, detail = {}) {
  switch (state) {
    case "asking":
      return "Waiting for the browser's permission to use the microphone";
    case "calling":
      return "Calling";
    case "connecting":
      return "Looking for a way to the server";
    case "connected":
      return detail.shaky ? "Connected, but nothing is heard just now" : "Connected";
    case "ready":
      return detail.shaky ? "Connected, but nothing is heard just now" : "Connected, bot ready";
    case "lost":
      return `Connection lost, getting it back (try ${detail.attempt} of ${detail.of})`;
    case "waiting":
      return "The server is gone; calling again when it is back";
    case "ended":
      return detail.failed ? "The bot has failed" : "The bot has left";
    case "failed":
      return "The call failed";
    default:
      return "Not connected";
  }
}

/** Why no connection came up, from `getStats()`, the peer connection's states and the host of this page. */
export function pathTrouble(report, { iceConnectionState, connectionState, sctp, remoteDescription }, host) {
  const facts = pathFacts(report);
  const facing = `This browser offered ${listed(facts.local)}, the server ${listed(facts.remote)}; ${checked(facts)}.`;
  const found = ["connected", "completed"].includes(iceConnectionState);
  if (!remoteDescription) return { what: "The server has not answered the offer.", cure: "", facts };
  if (found && connectionState !== "connected") {
    return { what: "A way to the server was found, but encryption (DTLS) did not come up on it.", cure: "", facts };
  }
  if (found) {
    const what = "The connection is up, but the data channel did not open.";
    return { what, cure: `Its state is ${sctp?.state ?? "unknown"}: does the server take one?`, facts };
  }
  return { what: `No way to the server was found. ${facing}`, cure: pathCure(facts, host), facts };
}

function pathCure(facts, host) {
  const { local, remote } = facts;
  if (!remote.length)
    return "The server announced no address: check its `--interface`, `--udp-ports` and `--ice-policy`.";
  if (!local.length) return "The browser found no network to use: check its WebRTC policy, and any VPN.";
  const families = (candidates) => new Set(candidates.map((each) => each.family).filter(Boolean));
  const [ours, theirs] = [families(local), families(remote)];
  if (ours.size && theirs.size && ![...ours].some((each) => theirs.has(each))) {
    return "One side has only IPv4, the other only IPv6: a TURN server that has both is needed (`--ice-servers`).";
  }
  if (remote.every((each) => each.scope === "private") && isPublicName(host)) {
    return "The server announced only private addresses: start it with `--public-ip`, or with a TURN server (`--ice-servers`).";
  }
  if (facts.heard && !facts.answered)
    return "The server's checks arrive here, but ours get no answer: UDP to the server is blocked.";
  const relayed = [...local, ...remote].some((each) => each.type === "relay");
  const turn = relayed
    ? "The TURN server may be down, or refuse its credentials."
    : "If it cannot be opened, a TURN server is needed (`--ice-servers`).";
  return `UDP between here and the server is blocked: by a firewall, a VPN or a container without its ports. ${turn}`;
}

/** Candidates of both sides and how the checks went, from `getStats()`. */
export function pathFacts(report) {
  const facts = { local: [], remote: [], pairs: 0, asked: 0, answered: 0, heard: 0 };
  for (const each of report.values()) {
    if (each.type === "local-candidate") facts.local.push(candidate(each));
    if (each.type === "remote-candidate") facts.remote.push(candidate(each));
    if (each.type !== "candidate-pair") continue;
    facts.pairs += 1;
    facts.asked += each.requestsSent ?? 0;
    facts.answered += each.responsesReceived ?? 0;
    facts.heard += each.requestsReceived ?? 0;
  }
  return facts;
}

function candidate({ candidateType, protocol, address, ip }) {
  const at = address ?? ip ?? "";
  return { type: candidateType, protocol, scope: scopeOf(at), family: familyOf(at) };
}

const INSIDE = [
  /^(10|127)\./,
  /^(192\.168|169\.254)\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./, // carrier NAT, and Tailscale
  /^::1$/,
  /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/i,
];

/** `private`, `public` or, for names that hide an address (mDNS), `hidden`. */
export function scopeOf(address) {
  if (!address || address.endsWith(".local")) return "hidden";
  return INSIDE.some((each) => each.test(address)) ? "private" : "public";
}

function familyOf(address) {
  if (scopeOf(address) === "hidden") return "";
  return address.includes(":") ? "IPv6" : "IPv4";
}

function isPublicName(host) {
  const bare = host.replace(/^\[|\]$/g, "");
  if (/^[\d.]+$/.test(bare) || bare.includes(":")) return scopeOf(bare) === "public";
  return bare.includes(".") && !/\.(localhost|local|lan|home|internal|test)$/i.test(bare);
}

function listed(candidates) {
  if (!candidates.length) return "no address";
  const counts = new Map();
  for (const { scope, type, protocol } of candidates) {
    const name = `${type === "host" ? `${scope} host` : type} (${protocol})`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", ");
}

function checked({ pairs, asked, answered, heard }) {
  if (!pairs) return "no pair of addresses could be tried";
  const tried = `${pairs} ${pairs === 1 ? "pair was" : "pairs were"} tried`;
  return `${tried}: ${asked} checks sent, ${answered} answered, ${heard} heard from the server`;
}

"""Every default, once.

Frozen dataclasses; a line under a field says what it is, its unit and where the number comes from. Nothing here
reads the environment: the command line does, and passes values down.
"""

from dataclasses import dataclass
from typing import Literal

Coding = Literal["voip", "audio", "lowdelay"]
"What libopus calls an application."


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock of one conversation, in seconds."""

    connect_timeout: float = 60.0
    "From the first offer to a connected peer; the documented `connection_timeout_secs`."

    channel_timeout: float = 10.0
    "From a connected peer to an open data channel; later, queued messages are dropped (Pipecat: 10 s)."

    lost_after: float = 5.0
    "Seconds without any sign of life before the other side counts as lost."

    close_after: float = 15.0
    "Seconds without any sign of life before the conversation is closed."

    consent_after: float = 1.0
    "Seconds of silence after which we ask for a sign of life ourselves (RFC 7675), and how often."

    ping_interval: float = 1.0
    "How often the dialing side sends a text ping (Pipecat's server expects one within 3 s)."

    farewell_timeout: float = 2.0
    "How long an end waits for a client that is just connecting, to tell it."

    drain_timeout: float = 0.5
    "How long a close waits for sent messages while none of them is acknowledged."

    drain_longest: float = 2.0
    "How long it waits in all, for a slow path: a server that is stopped has to end within 5 s."

    close_timeout: float = 5.0
    "How long a peer may take to close its sockets before it is abandoned with a log line."

    keyframe_grace: float = 2.0
    "How long after a negotiation no further renegotiation is asked for."


@dataclass(frozen=True, slots=True)
class Redial:
    """How the dialing side gets back."""

    attempts: int = 3
    "Tries before it gives up, as Pipecat's JavaScript client."

    first_delay: float = 1.0
    "Seconds before the second try of a series; the first goes out at once."

    growth: float = 3.0
    "Each later delay is this many times the one before."

    longest_delay: float = 10.0
    "Seconds: where many tries are wanted, somebody waits for the server to come back."


@dataclass(frozen=True, slots=True)
class Ice:
    """Gathering and checking of candidates."""

    gather_timeout: float = 0.5
    "Seconds that STUN and TURN servers may delay an offer or an answer; host candidates never wait."

    trickle_timeout: float = 5.0
    "Seconds that a dialing peer goes on gathering behind an offer that is already out."

    stagger: float = 0.1
    "Seconds after which the next server of a list is tried beside the one that has not answered yet."

    pacing: float = 0.02
    "Seconds between two connectivity checks (Ta, RFC 8445 section 14.2; aioice's value)."

    batch: float = 0.2
    "Seconds for which trickled candidates are collected into one PATCH (Pipecat's client: 200 ms)."


@dataclass(frozen=True, slots=True)
class PathMtu:
    """What fits through a path in one piece, and what is done when something does not."""

    sctp_chunk: int | None = None
    "User bytes in a chunk of the data channel; None: what the path is found to carry."

    probe_timeout: float = 3.0
    "Seconds after which the search for the largest chunk ends with what it knows."

    small_message: int = 500
    "Bytes of a message that fits through any path that can connect at all: it never waits for the probe."

    hold: float = 0.5
    "Seconds for which a first larger message waits for the probe's first findings."

    resend_after: float = 1.5
    "Seconds without an acknowledgement after which the path is probed again, and what is stuck is cut anew."

    stalled_after: float = 3.0
    "Seconds without an acknowledgement after which the data channel counts as stalled."

    far_side_timeout: float = 5.0
    "Seconds that the other side gets to say what its direction carries."


@dataclass(frozen=True, slots=True)
class OutboundAudio:
    """The way from a bot's `write()` to the encoder."""

    rate: int = 48_000
    "Sample rate of the track, in Hz; a transport's track has that of what the bot writes."

    frame: float = 0.02
    "Seconds of sound that leave at once, at the most; shorter packets leave when they are due."

    low_water: float = 0.06
    high_water: float = 0.08
    "`write()` returns once no more than this many seconds are queued: the look-ahead that covers a stall."

    grace: float = 0.03
    "How long a frame in the middle of speech waits for a writer that is late, before silence is put in its place."

    late_after: float = 0.06
    "A frame that is later than this is not made up for: the clock is set anew instead of bursting."

    fade: float = 0.005
    "Seconds of fade-out that `clear()` leaves of what was queued."

    live_backlog: float = 0.2
    "Seconds of live sound that wait where nobody sends; what is older is dropped and counted."


@dataclass(frozen=True, slots=True)
class Opus:
    """How outgoing sound is compressed; chosen by measured speech quality under loss (`scripts/opus-quality`).

    In calls error correction begins with the first loss that the other side reports. Until then nothing is as early
    and as cheap as `lowdelay`: 4 ms before the others, in a third of the time that speech takes with error correction.
    """

    application: Literal["auto"] | Coding = "auto"
    "`auto`: `lowdelay`, which has no error correction, and `protected` from when that is needed until 30 s after."

    bitrate: int = 80_000
    "Bits a second of one channel: up to 0.3 MOS better than 64,000 for synthetic speech; 96,000 brings 0.1 more."

    complexity: int = 5
    "0 to 10; 3 costs up to 0.4 MOS, 8 brings up to 0.1 (recorded speech: none) and takes a quarter more time."

    fec: bool = True
    "Whether a packet also carries the one before it, coarser: 0.5 to 0.6 MOS at 1 % loss, 1.4 to 1.6 at 5 %."

    loss: int = 10
    "Per cent of packets that are expected to be lost, at the least; with less, libopus soon leaves the correction out."

    protected: Literal["voip", "audio"] = "audio"
    "What `auto` goes over to: as `voip` for speech, within 0.05 MOS, and better for all else."

    voice_below: int = 32_000
    "Bits a second of one channel with fewer than which `auto` is `voip`: 0.3 to 0.9 MOS better at 12,000 to 24,000."

    dtx: bool = False
    """Whether silence is told with one packet in 400 ms instead of 20: saves bits, but begins with worse noise.

    `auto` is `voip` then: to the others silence is only what has no noise at all.
    """

    cbr: bool = False
    "Whether all packets are of one size: worse at the same bitrate, but it hides what is said (RFC 6562)."

    playback_rate: int = 48_000
    "Hz: the far side plays no more, so that nothing above half of it is sent."

    packet: float = 0.02
    "Seconds of sound in a packet: 0.01, 0.02, 0.04 or 0.06. Less is earlier, more saves headers."

    largest: int = 1200
    "Bytes in a packet; with what is wrapped around it, it passes wherever IPv6 does (1280)."

    @property
    def coding(self) -> Coding:
        """The application of libopus."""
        if self.application != "auto":
            return self.application
        if self.bitrate < self.voice_below or self.dtx:
            return "voip"
        return self.protected if self.fec else "lowdelay"


@dataclass(frozen=True, slots=True)
class InboundAudio:
    """The way from the decoder to a bot's `input()`."""

    backlog: float = 0.2
    "Seconds of sound that wait for a slow or late reader; what is older is dropped and counted."

    idle_after: float = 2.0
    "Seconds without a reader after which a track stops decoding (Pipecat: 2 s)."


@dataclass(frozen=True, slots=True)
class Playout:
    """How received packets become sound again; seconds where nothing is said."""

    longest_wait: float = 0.2
    "The most that a missing packet may hold back those after it: what a conversation bears."

    first_wait: float = 0.02
    "The wait for the first missing packets: with the packet that shows the hole, two packets of 20 ms."

    warm: int = 100
    "Packets in order after which the first missing one is not waited for: this path does not reorder."

    stake: float = 0.2
    "Making up one packet is as bad as waiting so long: what the choice of the wait weighs."

    margin: float = 0.005
    "Waited beyond what recent packets would have needed."

    memory: int = 64
    "Missing packets that the choice is made from."

    capacity: int = 100
    "Packets that wait behind a hole; with one more it is concealed before its time. 2 s of 20 ms."

    steady: float = 0.04
    "Concealment keeps its level for so long, two packets, and then fades."

    silent: float = 0.1
    "When it has faded to silence; what is still missing then is a pause, of which no samples are made."

    fade: float = 0.005
    "Of every seam between sound that was received and sound that was made up."

    excess: float = 0.02
    "A real-time player that holds so much more than its reserve, lastingly, is relieved of it."

    lasting: float = 1.0
    "How long it must have held that much without a break: shorter, it is jitter, and needed."

    reserve: float = 0.0
    "What a real-time player is to hold at the least; above 0, sound is stretched for it."

    step: float = 0.1
    "From one time-scale step to the next: a pitch period of 5 to 10 ms each is 5 to 10 % faster."

    hurry: float = 0.1
    "With so much to drain, a step follows the other without a pause; beyond `longest_wait` any cut is right."

    likeness: float = 0.9
    "Correlation of two pitch periods of which one can go unheard. Falls to 0 within `lasting`, so noise drains too."

    quiet: float = -50.0
    "dBFS below which sound may be cut anywhere."


@dataclass(frozen=True, slots=True)
class Elastic:
    """The buffer between a stream from the network and the clock of a sound card; seconds where nothing is said."""

    capacity: float = 0.4
    "The most that is held; beyond that the oldest sound is dropped and counted."

    first_target: float = 0.04
    "The delay that playing begins with, until the stream's jitter is known: two packets."

    least: float = 0.02
    most: float = 0.2
    "Bounds of the delay that is aimed at: a packet, and what a conversation bears."

    margin: float = 0.005
    "Kept beyond the jitter that was measured."

    rise: float = 0.02
    "By how much an underrun raises the target at once: a packet."

    fall: float = 0.005
    "By how much the target may fall in a second, once the jitter has gone: as fast as `fastest` can follow."

    settle: float = 4.0
    "The time constant with which the delay follows its target: 1 ms too much is played 250 ppm faster."

    fastest: float = 0.005
    "The most that sound is stretched or shortened, as a fraction: 9 cents, which nobody hears in speech."

    tolerance: float = 0.001
    "How far the delay may be from its target before that is corrected: equal clocks leave the sound bit by bit."

    slack: float = 0.005
    "How far the delay may be from its target before silence is cut out or put in."

    silence: float = -50.0
    "dBFS below which sound is silence, which may be cut and whose end is no underrun."

    fade: float = 0.005
    "Of every beginning and end, so that nothing clicks."


@dataclass(frozen=True, slots=True)
class Devices:
    """Microphones and speakers; seconds."""

    piece: float = 0.01
    "Of sound in a callback. It governs the latency: ALSA takes two of them, 20 ms."

    backlog: float = 0.2
    "Of a microphone's sound that wait for a slow reader; what is older is dropped and counted."

    lost_after: float = 0.5
    "Without a callback, after which a device is gone. A loaded machine was seen to take 0.11."

    settle: float = 3.0
    "After opening, in which a longer pause is none yet: an idle PulseAudio sink stalls for up to 1.9, Bluetooth too."

    look: float = 0.1
    "Between two looks at a device."

    retry: float = 2.0
    "Between two tries to get a device back."

    answer_timeout: float = 10.0
    "That the sound system may take to list its devices or to open one; a frozen PulseAudio takes 30."

    close_timeout: float = 1.0
    "That closing a device may take before it is left to itself; a frozen PulseAudio blocks for ever."


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what the other side can make us keep."""

    outbox: int = 50
    "Messages that wait for the data channel to open (Pipecat's MAX_MESSAGE_QUEUE_SIZE)."

    inbox: int = 1024
    "Events that wait for a bot's handlers; application messages beyond that are dropped and counted."

    inbox_bytes: int = 16 * 1024 * 1024
    "Bytes of application messages that wait for a bot's handlers."

    sdp: int = 128 * 1024
    "Characters in a session description; browsers send 4 to 12 thousand."

    body: int = 256 * 1024
    "Bytes in an HTTP request."

    candidates: int = 100
    "Candidates in one PATCH."

    media_sections: int = 16
    "m-lines in an offer; Pipecat's clients send two to four."

    buffered: int = 1024 * 1024
    "Bytes that wait in the data channel before `send_message` makes the bot wait."

    message: int = 262_144
    "Bytes in an inbound message, as aiortc advertises."


@dataclass(frozen=True, slots=True)
class Settings:
    """All of the above, to hand down as one value."""

    timing: Timing = Timing()
    redial: Redial = Redial()
    ice: Ice = Ice()
    path_mtu: PathMtu = PathMtu()
    outbound_audio: OutboundAudio = OutboundAudio()
    opus: Opus = Opus()
    inbound_audio: InboundAudio = InboundAudio()
    playout: Playout = Playout()
    elastic: Elastic = Elastic()
    devices: Devices = Devices()
    limits: Limits = Limits()

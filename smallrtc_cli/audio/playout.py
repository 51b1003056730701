"""The jitter buffer: received packets become sound, in order, as early as they can.

Sound is pushed, not pulled: no clock plays it here. What comes in its turn leaves at once; only what follows a hole
is held back, until the hole is filled or its deadline has passed. Then what is missing is made up (by what the next
packet repeats of it, else by the decoder, else by the last pitch period), and all that waited leaves at once.

    packet ──Order──> in order, with how many are missing ──Timeline──> what is a hole and what a pause
           ──Decoder, Concealment──> sound ──Reserve, for a player in real time──> sound

Pure: `now` is monotonic seconds. Every packet is played, discarded, a duplicate, or undecodable; every tick of the RTP
clock is a sound's or a pause's; and samples given = emitted + concealed + inserted - removed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from smallrtc_cli.audio.codecs import Decoder
from smallrtc_cli.audio.concealment import Concealment
from smallrtc_cli.audio.order import Order, Packet
from smallrtc_cli.audio.period import Samples
from smallrtc_cli.audio.reserve import Reserve
from smallrtc_cli.audio.timeline import Timeline
from smallrtc_cli.config import Playout as Settings
from smallrtc_cli.errors import UndecodablePacket


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A piece of what the other side said, int16 of shape `(n, channels)` at the decoder's rate."""

    samples: Samples
    timestamp: int
    "Where it begins, in ticks of the RTP clock that do not wrap around and never go back."
    span: int
    "Ticks that it stands for, also where a time-scale step has made it shorter or longer."
    concealed: bool
    "Made up; what the next packet repeated of a lost one was received."

    @property
    def end(self) -> int:
        """Where it ends; if the next one begins later, there is a pause between them, in which nothing was sent."""
        return self.timestamp + self.span


class Playout:
    """Plays one stream of packets.

    `clock_rate` is that of the timestamps in Hz. `held` is given by a player in real time: how many seconds of the
    sound that he got he has still to play. For him lasting delay is drained; without it no sample is left out.
    """

    def __init__(
        self,
        decoder: Decoder,
        settings: Settings | None = None,
        *,
        clock_rate: int = 48_000,
        held: Callable[[], float] | None = None,
    ) -> None:
        settings = settings or Settings()
        self._decoder, self._rate, self._clock_rate = decoder, decoder.rate, clock_rate
        self._order = Order(settings)
        self._timeline = Timeline(clock_rate)
        self._concealment = Concealment(decoder, settings)
        self._reserve = Reserve(decoder.rate, settings)
        self._held = held
        self._span = 0
        self._emitted = self._concealed = self._undecodable = 0
        self._delay = 0.0

    @property
    def deadline(self) -> float | None:
        """When `tick` is to be called, if nothing comes before; None while nothing waits."""
        return self._order.deadline

    @property
    def target(self) -> float:
        """Seconds that a missing packet is waited for, once a later one has come."""
        return self._order.wait

    @property
    def statistics(self) -> dict[str, float]:
        """Counters of `inbound-rtp` by their names at W3C, and our own `duplicates` and `undecodable` packets.

        Samples are per channel, the delay is in seconds. As W3C has it, a duplicate is not discarded, and `emitted`
        excludes what is concealed.
        """
        return {
            "jitterBufferDelay": self._delay,
            "jitterBufferEmittedCount": self._emitted,
            "totalSamplesReceived": self._emitted + self._concealed,
            "concealedSamples": self._concealed,
            "concealmentEvents": self._concealment.events,
            "insertedSamplesForDeceleration": self._reserve.inserted,
            "removedSamplesForAcceleration": self._reserve.removed,
            "packetsDiscarded": self._order.discarded,
            "duplicates": self._order.duplicates,
            "undecodable": self._undecodable,
        }

    def receive(self, sequence: int, timestamp: int, payload: bytes, now: float) -> list[Sound]:
        """A packet has come, with its sequence number and timestamp as they are in RTP; returns what is due now.

        A packet without sound (comfort noise, DTMF, padding) is told with an empty payload: time passes in it.
        """
        return self._play_all(self._order.accept(sequence, Packet(timestamp, payload, now)), now)

    def tick(self, now: float) -> list[Sound]:
        """Time has passed."""
        return self._play_all(self._order.release(now), now)

    def restart(self, now: float) -> list[Sound]:
        """Another source (SSRC) begins: what waits leaves, and nothing is concluded from it for what comes."""
        return self._play_all(self._order.restart(), now)

    def _play_all(self, packets: Iterable[Packet], now: float) -> list[Sound]:
        sounds = [sound for packet in packets for sound in self._play(packet, now)]
        return self._fitted(sounds, self._held(), now) if self._held else sounds

    def _play(self, packet: Packet, now: float) -> list[Sound]:
        before = self._up_to(packet, now)
        if not packet.payload:
            return self._broken_off(before)
        try:
            samples = self._decoder.decode(packet.payload)
        except UndecodablePacket:
            self._undecodable += 1
            return before + self._made_up(self._span)
        self._span = self._ticks(len(samples))
        return [*before, self._received(samples, packet, now)]

    def _up_to(self, packet: Packet, now: float) -> list[Sound]:
        """Time goes on to where a packet begins; what is lost there is replaced."""
        if packet.missing:
            return self._replaced(packet, packet.missing, now)
        if packet.missing is None:
            self._begin(packet)
        else:
            gap = self._timeline.gap(packet.timestamp, packet.arrived, 0)
            self._timeline.pass_to(self._timeline.position + gap, packet.timestamp)
        return []

    def _begin(self, packet: Packet) -> None:
        if self._span:
            self._decoder.reset()
            self._concealment.restart()
        self._timeline.begin(packet.timestamp, packet.arrived)

    def _replaced(self, packet: Packet, missing: int, now: float) -> list[Sound]:
        """In place of so many packets, as far as they were sound: what is more in time was a pause.

        What the packet repeats came directly before it.
        """
        each = max(self._span, self._span_of(packet.payload))
        gap = self._timeline.gap(packet.timestamp, packet.arrived, missing * each)
        lost, end = min(gap, missing * each), self._timeline.position + gap
        last = min(each, lost)
        sounds = self._made_up(lost - last)
        repeated = self._repeated(packet.payload, last)
        if repeated is None:
            sounds += self._made_up(last)
        if self._timeline.position < end - (last if repeated is not None else 0):
            sounds = self._broken_off(sounds)
        self._timeline.pass_to(end, packet.timestamp)
        if repeated is not None:
            self._timeline.pass_to(end - last, packet.timestamp - last)
            sounds.append(self._received(repeated, packet, now))
        return sounds

    def _made_up(self, ticks: int) -> list[Sound]:
        """A packet after the other, until the concealment is silent."""
        sounds = []
        while (piece := min(ticks, self._span)) > 0 and self._concealment.audible:
            samples = self._concealment.conceal(self._samples(piece))
            self._concealed += len(samples)
            sounds.append(self._sound(samples, piece, concealed=True))
            ticks -= piece
        return sounds

    def _broken_off(self, sounds: list[Sound]) -> list[Sound]:
        """A pause follows what was made up."""
        if sounds and sounds[-1].concealed:
            sounds[-1] = replace(sounds[-1], samples=self._concealment.end(sounds[-1].samples))
        return sounds

    def _repeated(self, payload: bytes, ticks: int) -> Samples | None:
        """What a packet repeats of the one before it (in-band FEC), if just that is missing."""
        try:
            samples = self._decoder.recover(payload, self._samples(ticks)) if payload and ticks else None
        except UndecodablePacket:
            return None
        return samples if samples is not None and self._ticks(len(samples)) == ticks else None

    def _received(self, samples: Samples, packet: Packet, now: float) -> Sound:
        samples = self._concealment.join(samples)
        self._emitted += len(samples)
        self._delay += (now - packet.arrived) * len(samples)
        return self._sound(samples, self._ticks(len(samples)), concealed=False)

    def _sound(self, samples: Samples, span: int, *, concealed: bool) -> Sound:
        sound = Sound(samples, self._timeline.position, span, concealed)
        self._timeline.advance(span)
        return sound

    def _fitted(self, sounds: list[Sound], held: float, now: float) -> list[Sound]:
        """For a player who holds `held` seconds before he gets these."""
        fitted = []
        for sound in sounds:
            samples = self._reserve.fit(sound.samples, held, now)
            held += len(samples) / self._rate
            fitted.append(sound if samples is sound.samples else replace(sound, samples=samples))
        return fitted

    def _span_of(self, payload: bytes) -> int:
        try:
            return self._ticks(self._decoder.samples_in(payload)) if payload else 0
        except UndecodablePacket:
            return 0

    def _ticks(self, samples: int) -> int:
        return samples * self._clock_rate // self._rate

    def _samples(self, ticks: int) -> int:
        return ticks * self._rate // self._clock_rate

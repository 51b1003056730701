"""A call to the server, hung up at once, seen stage by stage: offer, ICE, DTLS, data channel, audio, path."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smallrtc_cli.commands.doctor import ice_servers
from smallrtc_cli.commands.doctor.bounds import CONNECT, STEP, Tell, Tried, tried
from smallrtc_cli.commands.doctor.door import Door
from smallrtc_cli.commands.doctor.path import path_stage
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.config import Redial, Settings
from smallrtc_cli.errors import CouldNotConnect, UsageError
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.session import Role
from smallrtc_cli.report.stages import Mark, Stage, skipped
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.diagnosis import Cause, NoConnection
from smallrtc_cli.rtc.diagnosis import Tried as Pair
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.evidence import evidence
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.stats import of_type, stats
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.web.start import begin

OFFER, ICE, DTLS, CHANNEL, AUDIO, MTU = "offer", "ice", "dtls", "channel", "audio", "mtu"

SUBJECTS: Final = {
    OFFER: "offer and answer",
    ICE: "ICE",
    DTLS: "DTLS",
    CHANNEL: "data channel",
    AUDIO: "audio",
    MTU: "path MTU",
}
"The stages of a call in their order, as they are called where they are skipped."

_HANDSHAKE: Final = frozenset({Cause.DTLS_REFUSED, Cause.DTLS_SILENT})
_SOUND: Final = TransportParams(audio_in_enabled=True, audio_out_enabled=True)


def skip(tell: Tell, after: str | None, needs: str) -> None:
    """Tell of all stages after one (None: of all) that they need something that is not there."""
    names = list(SUBJECTS)
    for name in names[0 if after is None else names.index(after) + 1 :]:
        tell(skipped(name, SUBJECTS[name], needs))


async def examine(door: Door, url: str, network: NetworkOptions, named: Sequence[IceServerSpec], tell: Tell) -> None:
    """Call and hang up; without servers of the user's own those that the server names are asked as well."""
    begun = await tried(begin(url, headers=door.headers, verify=door.verify, timeout=CONNECT), CONNECT)
    if begun.value is None:
        tell(judge_refusal(begun.error, begun.seconds))
        skip(tell, OFFER, "an answer")
        return
    async with begun.value.exchange:
        try:
            ice = network.ice(tuple(named) or begun.value.ice_servers)
            settings = Settings(redial=Redial(attempts=0), path_mtu=network.path_mtu(os.environ))
        except UsageError as error:  # what was typed and what the server names do not go together
            tell(judge_refusal(error, begun.seconds))
            skip(tell, OFFER, "an answer")
            return
        dialer = Dialer(begun.value.exchange, DialOptions(ice=ice, connect_timeout=CONNECT), settings=settings)
        await _call(dialer, ice, tell, ask=not named, began=begun.seconds)


async def _call(dialer: Dialer, ice: IceOptions, tell: Tell, *, ask: bool, began: float) -> None:
    transport = SmallWebRTCTransport(dialer.connection, _SOUND)
    asked: list[Stage] = []
    asking = asyncio.create_task(ice_servers.examine_named(ice if ask else IceOptions(), asked.append))
    try:
        await transport.start()
        dialed = await tried(dialer.dial(), 2 * CONNECT)
        await asking
        for stage in asked:
            tell(stage)
        await _judged(dialer, transport, dialed, tell, began=began)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await dialer.connection.disconnect()


async def _judged(
    dialer: Dialer, transport: SmallWebRTCTransport, dialed: Tried[SmallWebRTCConnection], tell: Tell, *, began: float
) -> None:
    connection = dialer.connection
    if connection.current_peer is None:
        tell(judge_refusal(dialed.error, began + dialed.seconds))
        return skip(tell, OFFER, "an answer")
    tell(judge_offer(began + (dialer.signalling_seconds or 0.0)))
    if dialed.value is None:
        return _not_connected(dialed, tell)
    facts = await connected(connection)
    tell(judge_ice(facts))
    tell(judge_dtls(facts))
    return await _talk(transport, tell)


def _not_connected(dialed: Tried[SmallWebRTCConnection], tell: Tell) -> None:
    for stage in judge_no_connection(dialed.error, dialed.seconds):
        tell(stage)
    handshake = isinstance(dialed.error, NoConnection) and dialed.error.diagnosis.cause in _HANDSHAKE
    skip(tell, DTLS if handshake else ICE, "DTLS" if handshake else "ICE")


async def _talk(transport: SmallWebRTCTransport, tell: Tell) -> None:
    connection = transport.connection
    # Some bots say nothing before they are told that the client is there.
    connection.send_app_message(rtvi.client_ready(uuid.uuid4().hex[:8]))
    opened, heard, path = await asyncio.gather(
        tried(connection.wait_for(lambda: connection.peer.stages.channel is not None)),
        tried(_first_sound(transport)),
        path_stage(connection),
    )
    tell(judge_channel(opened))
    tell(judge_audio(heard))
    tell(path)


async def _first_sound(transport: SmallWebRTCTransport) -> None:
    async for _ in transport.input():
        return
    raise CouldNotConnect("the server hung up before any audio arrived", hint="its terminal says why the bot left")


# Facts and judgements


@dataclass(frozen=True, slots=True)
class Connected:
    """How a call came up; seconds of each stage."""

    pair: Pair
    pairs: int
    ice: float
    dtls: float
    cipher: str


async def connected(connection: SmallWebRTCConnection) -> Connected:
    """Taken down from a connection that is up."""
    stages, found = connection.peer.stages, evidence(connection.peer, Role.OFFER)
    (secured, *_) = of_type(await stats(connection), "transport")
    assert found.selected is not None
    described, ice = stages.described or stages.started, stages.ice or stages.started
    return Connected(
        found.selected,
        len(found.pairs),
        max(0.0, ice - described),
        max(0.0, (stages.connected or ice) - ice),
        secured.get("dtlsCipher", "unknown cipher"),
    )


def judge_refusal(error: Exception | None, seconds: float) -> Stage:
    """There is no answer to the offer."""
    late = f"no answer to the offer in {CONNECT:g} s"
    detail = late if isinstance(error, TimeoutError) or error is None else str(error)
    cure = getattr(error, "hint", None) or "the server's own log may say more"
    return Stage(OFFER, Mark.FAIL, detail, cure, seconds)


def judge_offer(seconds: float) -> Stage:
    """There is an answer."""
    if seconds > STEP:
        cure = "the server is busy, or starts its bot only now: the first call of a client may give up"
        return Stage(OFFER, Mark.WARN, "the offer was answered late", cure, seconds)
    return Stage(OFFER, Mark.OK, "the offer was answered", None, seconds)


def judge_no_connection(error: Exception | None, seconds: float) -> list[Stage]:
    """ICE failed, or DTLS after it: what each side offered, what was tried and what is missing."""
    if not isinstance(error, NoConnection):
        detail = str(error) or f"no connection in {CONNECT:g} s"
        cure = error.hint if isinstance(error, CouldNotConnect) else None
        return [Stage(ICE, Mark.FAIL, f"ICE: {detail}", cure or "the server's own log may say more", seconds)]
    found = error.diagnosis
    detail = "; ".join([found.sentence, *found.facts])
    if found.cause in _HANDSHAKE:
        return [
            Stage(ICE, Mark.OK, "ICE connected", None, seconds),
            Stage(DTLS, Mark.FAIL, f"DTLS: {detail}", found.hint, seconds),
        ]
    return [Stage(ICE, Mark.FAIL, f"ICE: {detail}", found.hint, seconds)]


def judge_ice(found: Connected) -> Stage:
    """A pair works."""
    tried_ = f"{found.pairs} pair{'' if found.pairs == 1 else 's'} tried"
    detail = f"ICE connected: {found.pair.local} → {found.pair.remote}, {tried_}"
    return Stage(ICE, Mark.OK, detail, None, found.ice)


def judge_dtls(found: Connected) -> Stage:
    """The handshake came to its end."""
    return Stage(DTLS, Mark.OK, f"DTLS connected: {found.cipher}", None, found.dtls)


def judge_channel(opened: Tried[None]) -> Stage:
    """Whether messages can be sent."""
    if opened.error is None:
        return Stage(CHANNEL, Mark.OK, "the data channel is open", None, opened.seconds)
    cure = "audio may still work: a server that knows no data channels, or a path that drops large packets"
    return Stage(CHANNEL, Mark.FAIL, f"the data channel did not open within {STEP:g} s", cure, opened.seconds)


def judge_audio(heard: Tried[None]) -> Stage:
    """Whether sound arrives, be it silence; a bot that is silent until it is spoken to may send none."""
    if heard.error is None:
        return Stage(AUDIO, Mark.OK, "audio arrives", None, heard.seconds)
    if isinstance(heard.error, CouldNotConnect):
        return Stage(AUDIO, Mark.FAIL, str(heard.error), heard.error.hint, heard.seconds)
    cure = "many bots are silent until they are spoken to: `smallrtc connect` calls with a microphone"
    return Stage(AUDIO, Mark.WARN, f"no audio arrived within {STEP:g} s", cure, heard.seconds)

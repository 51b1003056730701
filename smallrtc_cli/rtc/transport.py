"""`SmallWebRTCTransport`: what a bot holds. Sound in, sound out, messages, and who comes and goes.

For bots without Pipecat; names, fields and events are those of Pipecat's transport as far as they apply. The
transport joins the conversation when the bot first uses it, so that handlers registered before see everything.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from av import VideoFrame

from smallrtc_cli.audio.codecs import native_rate
from smallrtc_cli.audio.pcm import OutputAudioRawFrame, check_format
from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.messages import require_object
from smallrtc_cli.protocol.session import CloseReason, Role, State
from smallrtc_cli.rtc.bot_audio_track import BotAudioTrack
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.events import H, Handler, Inbox
from smallrtc_cli.rtc.sound_streams import AudioInput, AudioOutput
from smallrtc_cli.rtc.tracks import SmallWebRTCTrack
from smallrtc_cli.rtc.video import BotVideoTrack, OutputImageRawFrame
from smallrtc_cli.rtc.video_input import VideoInput

EVENTS = frozenset(
    {
        "on_client_connected",
        "on_client_reconnected",
        "on_client_disconnected",
        "on_client_closed",
        "on_app_message",
    }
)

_IN_RATE, _OUT_RATE = 16_000, 24_000  # Hz; what most speech recognition takes and speech synthesis gives

_BY_BOT = (
    CloseReason.BOT_ENDED,
    CloseReason.BOT_FAILED,
    CloseReason.SERVER_SHUTDOWN,
    CloseReason.CLIENT_ENDED,
)


class NotEnabled(SmallRTCError):
    """A bot uses what its `TransportParams` do not enable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportParams:
    """What a bot wants, with Pipecat's names and, where they apply, its defaults."""

    audio_in_enabled: bool = False
    audio_in_sample_rate: int | None = None
    "Hz of what `input()` yields; None: 16000."

    audio_in_channels: int = 1
    audio_out_enabled: bool = False
    audio_out_sample_rate: int | None = None
    "Hz of plain bytes given to `write`; None: 24000. Frames carry their own rate."

    audio_out_channels: int = 1
    audio_out_live: bool = False
    "What is written is sound of now, as from a microphone: it leaves at once, and `write` never waits."

    video_in_enabled: bool = False
    video_out_enabled: bool = False

    def __post_init__(self) -> None:
        """Raises `WrongFormat`, before the first sound does."""
        check_format(
            _IN_RATE if self.audio_in_sample_rate is None else self.audio_in_sample_rate, self.audio_in_channels
        )
        check_format(
            _OUT_RATE if self.audio_out_sample_rate is None else self.audio_out_sample_rate, self.audio_out_channels
        )


class SmallWebRTCTransport:
    """One conversation, as a bot sees it.

    Events, by `event_handler(name)`; handlers get the transport first and run one after the other, in order:
    `on_client_connected` (connection) once, `on_client_reconnected` (connection) after each restart,
    `on_client_disconnected` (connection) when the client left or was lost, `on_client_closed` (connection) at every
    end, last of all, `on_app_message` (message, sender). `connection.close_reason` says why it ended.
    """

    def __init__(
        self,
        webrtc_connection: SmallWebRTCConnection,
        params: TransportParams | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        self.connection = webrtc_connection
        self.params = params or TransportParams()
        self.name = f"{type(self).__name__}#{webrtc_connection.id}"
        self.input_name = input_name or f"{self.name}.input"
        self.output_name = output_name or f"{self.name}.output"
        self._events = Inbox(self, EVENTS)
        self._started = self._seen = False
        self._input: AudioInput | None = None
        self._output: AudioOutput | None = None
        self._video: BotVideoTrack | None = None
        webrtc_connection.add_event_handler("connected", self._on_connected)
        webrtc_connection.add_event_handler("closed", self._on_closed)
        webrtc_connection.add_event_handler("app-message", self._on_app_message)

    # Events

    def event_handler(self, event_name: str) -> Callable[[H], H]:
        """Decorate a function to be called as `handler(transport, *args)`."""
        return self._events.decorator(event_name)

    def add_event_handler(self, event_name: str, handler: Handler) -> None:
        """Call `handler(transport, *args)`; plain and coroutine functions both do."""
        self._events.add(event_name, handler)

    async def start(self) -> None:
        """Join the conversation; done by itself on the first use."""
        if self._started:
            return
        self._started = True
        if self.params.audio_out_enabled:
            self.output()
        await self.connection.connect()

    async def wait_closed(self) -> None:
        """Join, and return when the conversation has ended: for bots that only have handlers."""
        await self.start()
        await self.connection.wait_closed()

    async def disconnect(self) -> None:
        """End the conversation; the client is told."""
        await self.connection.disconnect()

    def get_client_id(self, client: SmallWebRTCConnection) -> str:
        """What names a client: its `pc_id`."""
        return client.pc_id

    # Sound and pictures

    def input(self) -> AudioInput:
        """The client's sound; needs `audio_in_enabled`."""
        if not self.params.audio_in_enabled:
            raise NotEnabled("the bot reads sound without it", hint="set `TransportParams(audio_in_enabled=True)`")
        if self._input is None:
            rate = self.params.audio_in_sample_rate or _IN_RATE
            self._input = AudioInput(self, rate, self.params.audio_in_channels)
        return self._input

    def output(self) -> AudioOutput:
        """The bot's sound; needs `audio_out_enabled`."""
        if not self.params.audio_out_enabled:
            raise NotEnabled("the bot plays sound without it", hint="set `TransportParams(audio_out_enabled=True)`")
        if self._output is None:
            channels = self.params.audio_out_channels
            rate = self.params.audio_out_sample_rate or _OUT_RATE
            settings = replace(self.connection.settings.outbound_audio, rate=native_rate(rate))
            track = BotAudioTrack(channels, settings, live=self.params.audio_out_live)
            if self.connection.state is State.CLOSED:
                track.stop()
            self.connection.replace_audio_track(track)
            self._output = AudioOutput(self, track, rate, channels)
        return self._output

    async def send_audio(self, frame: OutputAudioRawFrame) -> None:
        """Pipecat's name for `output().write`."""
        await self.output().write(frame)

    async def send_image(self, frame: OutputImageRawFrame | VideoFrame) -> None:
        """Show a picture from now on; needs `video_out_enabled`. Raises `WrongPicture`, and the next one plays.

        It may be a libav frame, too, of an even size: what is decoded elsewhere needs no conversion here.
        """
        if not self.params.video_out_enabled:
            raise NotEnabled("the bot shows a picture without it", hint="set `TransportParams(video_out_enabled=True)`")
        await self.start()
        if self._video is None:
            self._video = BotVideoTrack()
            self.connection.replace_video_track(self._video)
        self._video.show(frame)

    def hide_image(self) -> None:
        """Show nothing, until the next picture."""
        if self._video is not None:
            self._video.hide()

    def video_input(self) -> SmallWebRTCTrack | None:
        """The client's camera track, if there is one; needs `video_in_enabled`."""
        if not self.params.video_in_enabled:
            raise NotEnabled("the bot reads pictures without it", hint="set `TransportParams(video_in_enabled=True)`")
        return self.connection.video_input_track()

    def images(self) -> VideoInput:
        """The client's pictures as they come, over restarts; needs `video_in_enabled`."""
        if not self.params.video_in_enabled:
            raise NotEnabled("the bot reads pictures without it", hint="set `TransportParams(video_in_enabled=True)`")
        return VideoInput(self)

    # Messages

    async def send_message(self, message: dict[str, Any]) -> None:
        """Send a JSON object to the client, behind earlier ones; waits while a megabyte is under way.

        Raises `UnencodableMessage` for anything else, and `MessageTooLarge` above what the client accepts.
        """
        require_object(message)
        await self.start()
        await self.connection.wait_writable()
        self.connection.send_app_message(message)

    async def send_server_message(self, data: Any) -> None:
        """Send an RTVI `server-message`."""
        await self.send_message(rtvi.server_message(data))

    async def send_server_response(self, request: dict[str, Any], data: Any = None) -> None:
        """Answer an RTVI `client-message`: same id, same `t`; a `server-message` where the client gave no id."""
        await self.send_message(rtvi.response_to(request, data))

    async def send_error(self, text: str, *, fatal: bool = False) -> None:
        """Send an RTVI `error`."""
        await self.send_message(rtvi.error(text, fatal=fatal))

    # What the connection tells

    async def _on_connected(self, connection: SmallWebRTCConnection) -> None:
        event = "on_client_reconnected" if self._seen else "on_client_connected"
        self._seen = True
        await self._events.deliver(event, connection)

    async def _on_closed(self, connection: SmallWebRTCConnection) -> None:
        if self._seen and connection.close_reason not in _BY_BOT:
            await self._events.deliver("on_client_disconnected", connection)
        await self._events.deliver("on_client_closed", connection)
        for sound in (self._input, self._output):
            if sound is not None:
                sound.release()
        self._input = self._output = None  # each holds the transport
        self._events.close()

    async def _on_app_message(self, connection: SmallWebRTCConnection, message: dict[str, Any]) -> None:
        if connection.role is Role.ANSWER and rtvi.is_rtvi(message):
            reply = rtvi.answer(message, self._capabilities())
            if reply is not None:
                connection.send_app_message(reply)
        await self._events.deliver("on_app_message", message, connection.pc_id)
        if connection.role is Role.ANSWER and rtvi.is_rtvi(message) and message.get("type") == "disconnect-bot":
            await connection.disconnect()

    def _capabilities(self) -> dict[str, bool]:
        params = self.params
        return {
            "audio_in": params.audio_in_enabled,
            "audio_out": params.audio_out_enabled,
            "video_in": params.video_in_enabled,
            "screen_in": params.video_in_enabled,
            "video_out": params.video_out_enabled,
            "metrics": False,
        }

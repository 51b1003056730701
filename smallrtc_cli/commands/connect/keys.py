"""What the keys do: `m` mute, `v` camera, space push to talk, `t` type, `s` statistics, `r` reconnect, `q` quit."""

from collections.abc import Callable
from typing import Any, Protocol

from smallrtc_cli.errors import SmallRTCError
from smallrtc_cli.line_editor import Cancelled, LineEditor, Submitted
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.messages import parse_json, require_object

_RAW = "/json"


class Controls(Protocol):
    """What can be done to a call."""

    def toggle_mute(self) -> None: ...
    def toggle_camera(self) -> None: ...
    def toggle_talking(self) -> None: ...
    def toggle_statistics(self) -> None: ...
    def toggle_keys(self) -> None: ...
    def reconnect(self) -> None: ...
    def hang_up(self) -> None: ...
    def send(self, message: dict[str, Any]) -> None: ...
    def tell(self, sentence: str) -> None: ...


class Keys:
    """Turns keys into what they mean; while a message is typed, into its text."""

    def __init__(self, controls: Controls, new_id: Callable[[], str]) -> None:
        self._controls, self._new_id = controls, new_id
        self._editor = LineEditor()
        self._is_typing = False

    @property
    def typing(self) -> tuple[str, int] | None:
        """The text that is typed and the cursor in it; None while keys are commands."""
        return self._editor.view() if self._is_typing else None

    def press(self, key: str) -> None:
        """A key as `Keyboard` names it."""
        if self._is_typing:
            self._edit(key)
            return
        match key:
            case "m":
                self._controls.toggle_mute()
            case "v":
                self._controls.toggle_camera()
            case " ":
                self._controls.toggle_talking()
            case "t":
                self._is_typing = True
            case "s":
                self._controls.toggle_statistics()
            case "r":
                self._controls.reconnect()
            case "?":
                self._controls.toggle_keys()
            case "q":
                self._controls.hang_up()

    def _edit(self, key: str) -> None:
        match self._editor.press(key):
            case Submitted(text=text):
                self._is_typing = False
                self._send(text)
            case Cancelled():
                self._is_typing = False

    def _send(self, text: str) -> None:
        if not text.strip():
            return
        try:
            self._controls.send(typed(text, self._new_id()))
        except SmallRTCError as error:
            self._controls.tell(f"not sent: {error}")


def typed(text: str, message_id: str) -> dict[str, Any]:
    """The message that a typed line means: RTVI's `send-text`, or the object behind `/json`.

    Raises `MalformedJSON` or `UnencodableMessage`.
    """
    command, _, rest = text.strip().partition(" ")
    if command != _RAW:
        return rtvi.send_text(message_id, text.strip())
    message = parse_json(rest)
    require_object(message)
    return dict(message)

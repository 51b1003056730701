"""The sound devices of a machine in columns, for people."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from smallrtc_cli.audio.devices import Device
from smallrtc_cli.console import printable

_HEAD = ("#", "name", "host API", "in", "out", "rate", "")
_RIGHT = frozenset({"#", "in", "out", "rate"})
_GUTTER = "  "


def device_table(devices: Sequence[Device]) -> Text:
    """A row a device, without a final newline; names are whole, as they can be typed."""
    rows = [_HEAD, *map(_cells, devices)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = [Text(_line(row, widths), style="" if number else "dim") for number, row in enumerate(rows)]
    return Text("\n").join(lines)


def _cells(device: Device) -> tuple[str, ...]:
    return (
        str(device.index),
        printable(device.name),
        printable(device.host_api),
        str(device.input_channels),
        str(device.output_channels),
        f"{device.default_rate / 1000:g} kHz",
        _marks(device),
    )


def _marks(device: Device) -> str:
    marks = {"input": device.is_default_input, "output": device.is_default_output}
    directions = " and ".join(direction for direction, is_default in marks.items() if is_default)
    return f"default {directions}" if directions else ""


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for name, cell, width in zip(_HEAD, row, widths, strict=True):
        filler = " " * (width - cell_len(cell))
        cells.append(filler + cell if name in _RIGHT else cell + filler)
    return f" {_GUTTER.join(cells)}".rstrip()

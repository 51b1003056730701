from rich.cells import cell_len

from smallrtc_cli.audio.devices import Device
from smallrtc_cli.report.device_table import device_table

DEVICES = [
    Device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", "ALSA", 2, 4, 44_100, False, False),
    Device(10, "マイク", "Windows WASAPI", 1, 0, 48_000, True, False),
    Device(11, "default", "ALSA", 32, 32, 48_000, False, True),
    Device(12, "both", "ALSA", 2, 2, 192_000, True, True),
]


def _lines(devices=DEVICES):
    return device_table(devices).plain.split("\n")


def test_a_row_has_what_is_known_of_a_device():
    head, first, *_ = _lines()
    assert head.split() == ["#", "name", "host", "API", "in", "out", "rate"]
    assert " ".join(first.split()) == "0 HDA Intel PCH: ALC257 Analog (hw:0,0) ALSA 2 4 44.1 kHz"


def test_the_defaults_are_marked():
    assert [line.partition("kHz")[2].strip() for line in _lines()[1:]] == [
        "",
        "default input",
        "default output",
        "default input and output",
    ]


def test_columns_stand_below_each_other_whatever_the_letters():
    ends = {cell_len(line.partition(" kHz")[0]) for line in _lines()[1:]}
    assert len(ends) == 1
    assert all(line == line.rstrip() for line in _lines())


def test_a_name_cannot_steer_the_terminal():
    assert "evil\\x1b[2J" in _lines([Device(0, "evil\x1b[2J", "ALSA", 1, 1, 48_000, False, False)])[1]

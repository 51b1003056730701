"""What the bot that measures keeps of a call."""

import pytest

from smallrtc_cli.bots.caller import Tape


@pytest.mark.parametrize(("samples", "seconds"), [(960, 0.02), (480, 0.01), (192, 0.004)])
def test_sound_that_leaves_was_said_just_before_however_long_the_piece_is(samples, seconds):
    tape = Tape()
    tape.add_left(bytes(4 * samples), 0, 5.0)
    assert tape.recording().marks == ((0, pytest.approx(5.0 - seconds)),)

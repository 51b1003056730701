"""When a stream goes over to protection against loss, and when back: by reports, pauses and the time of its sound."""

from smallrtc_cli.audio.changeover import Changeover

SPEECH, PAUSE = -20.0, -60.0


def test_protection_begins_in_the_first_pause_after_loss():
    change = Changeover()
    change.reported(0.1, now=5.0)
    assert not change.to_protection(SPEECH, now=5.5)
    assert change.to_protection(PAUSE, now=5.5)


def test_protection_begins_a_second_after_the_first_report_of_loss_at_the_latest():
    change = Changeover()
    change.reported(0.1, now=5.0)
    change.reported(0.1, now=5.9)
    assert not change.to_protection(SPEECH, now=5.99)
    assert change.to_protection(SPEECH, now=6.0)


def test_protection_that_is_wanted_without_any_loss_is_not_waited_for():
    assert Changeover().to_protection(SPEECH, now=0.0)


def test_low_delay_begins_again_in_a_pause_once_nothing_was_lost_for_30_s():
    change = Changeover()
    change.reported(0.1, now=5.0)
    for now in range(6, 60):
        change.reported(0.0, now=now)
    assert not change.to_low_delay(PAUSE, now=34.9)
    assert not change.to_low_delay(SPEECH, now=35.0)
    assert change.to_low_delay(PAUSE, now=35.0)


def test_every_further_loss_puts_that_off():
    change = Changeover()
    change.reported(0.1, now=5.0)
    change.reported(0.01, now=20.0)
    assert not change.to_low_delay(PAUSE, now=49.9)
    assert change.to_low_delay(PAUSE, now=50.0)


def test_after_low_delay_has_begun_again_the_next_loss_is_a_first_one():
    change = Changeover()
    change.reported(0.1, now=5.0)
    assert change.to_low_delay(PAUSE, now=40.0)
    change.reported(0.1, now=50.0)
    assert not change.to_protection(SPEECH, now=50.9)
    assert change.to_protection(SPEECH, now=51.0)

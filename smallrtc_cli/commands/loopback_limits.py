"""What `smallrtc loopback` may be asked for and holds its measurements against; loads nothing heavy."""

from dataclasses import replace

from smallrtc_cli.errors import UsageError
from smallrtc_cli.report.checks import Limit, Sense

DURATION = 3.0
"Seconds of the built-in signal: enough for 70 blocks, short enough for a smoke test of 6 s."

SHORTEST = 1.5
"Seconds of sound in a call: of less, drift cannot be told (`alignment`), and no report would pass."

LONGEST = 600.0
"Seconds; a bound of memory (4 times 115 MB)."

FILE_SNR_DB = 10.0
"dB: Opus keeps 27 dB of the measuring signal and 13 to 16 of speech, over two passes at 96 kbit/s."

LIMITS: tuple[Limit, ...] = (
    Limit("recognised_pct", "%", 80, "sound: what is recognised of it", Sense.AT_LEAST),
    Limit("pitch_error_pct", "%", 1, "sound: played too fast or too slow", Sense.WITHIN),
    Limit("channel_faults", "", 0, "sound: left and right mixed up"),
    Limit("round_trip_p95_ms", "ms", 150, "sound: there and back, 95th pct."),
    Limit("snr_db", "dB", 15, "sound: signal to noise", Sense.AT_LEAST),
    Limit("gaps", "", 0, "sound: places where it breaks off"),
    Limit("lost_samples", "", 0, "sound: samples that got lost"),
    Limit("inserted_samples", "", 0, "sound: samples never sent"),
    Limit("cut_off_ms", "ms", 60, "sound: missing at start and end"),
    Limit("drift_ppm", "ppm", 300, "sound: a clock too fast or too slow", Sense.WITHIN),
    Limit("level_change_db", "dB", 3, "sound: louder or softer than sent", Sense.WITHIN),
    Limit("first_audio_ms", "ms", 1000, "sound: until the first of it"),
    Limit("data_channel_ms", "ms", 2000, "messages: until the channel is open"),
    Limit("message_round_trip_p99_ms", "ms", 250, "messages: there and back, 99th pct."),
    Limit("messages_lost", "", 0, "messages: not come back"),
    Limit("messages_reordered", "", 0, "messages: back out of turn"),
    Limit("packets_lost", "", 0, "network: RTP packets, both ways"),
)


def parse_duration(text: str) -> float:
    """Seconds of sound; raises `UsageError`."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:  # refuses NaN too
        raise UsageError(
            f"`--duration {text}` is no duration",
            hint=f"give seconds from {SHORTEST:g} to {LONGEST:g}; {DURATION:g} are the default",
        )
    return seconds


def limits_for(*, own_sound: bool) -> tuple[Limit, ...]:
    """The defaults; a file's sound (`own_sound`) may come back with more noise than the signal made for measuring."""
    if not own_sound:
        return LIMITS
    return tuple(replace(limit, default=FILE_SNR_DB) if limit.name == "snr_db" else limit for limit in LIMITS)

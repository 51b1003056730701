from smallrtc_cli.protocol.acknowledging import Acknowledging


def told(times: list[float], urgent: frozenset[int] = frozenset()) -> list[int]:
    """Which of the packets at those times are acknowledged at once."""
    state, found = Acknowledging(), []
    for number, now in enumerate(times):
        if state.packet(now, number in urgent):
            state.acknowledged()
            found.append(number)
    return found


def test_as_long_as_they_are_few_each_packet_is_acknowledged():
    assert told([number * 0.0011 for number in range(1000)]) == list(range(1000))


def test_in_a_rush_every_fourth_is():
    assert told([number * 1e-5 for number in range(140)]) == [*range(100), *range(103, 140, 4)]


def test_a_rush_ends():
    times = [number * 1e-5 for number in range(150)] + [0.2, 0.3, 0.4]
    assert told(times)[-3:] == [150, 151, 152]


def test_what_is_urgent_is_acknowledged_in_a_rush_too_and_the_rest_with_it():
    assert told([number * 1e-5 for number in range(110)], frozenset({101, 102})) == [*range(100), 101, 102, 106]


def test_what_waits_is_counted():
    state = Acknowledging()
    for number in range(102):
        if state.packet(number * 1e-5, urgent=False):
            state.acknowledged()
    assert state.waiting == 2

from smallrtc_cli.protocol.congestion import Window, most_in_flight

CHUNK = 1000


def test_it_begins_with_ten_chunks():
    assert Window(CHUNK).size == 10_000


def test_in_slow_start_it_grows_by_what_arrives():
    window = Window(CHUNK)
    window.acknowledged(4000, CHUNK)
    assert window.size == 14_000


def test_a_very_large_acknowledgement_opens_it_by_a_burst_only():
    window = Window(CHUNK)
    window.acknowledged(1_000_000, CHUNK)
    assert window.size == 42_000


def test_a_loss_halves_it_and_from_there_it_grows_by_a_chunk_a_window():
    window = Window(CHUNK)
    window.acknowledged(30_000, CHUNK)
    window.lost(CHUNK)
    assert window.size == 20_000
    window.acknowledged(1, CHUNK)  # up to the threshold it is slow start
    before = window.size
    for _ in range(21):
        window.acknowledged(CHUNK, CHUNK)
    assert window.size == before + CHUNK


def test_losses_leave_four_chunks_and_a_timeout_one():
    window = Window(CHUNK)
    for _ in range(10):
        window.lost(CHUNK)
    assert window.size == 4000
    window.expired(CHUNK)
    assert window.size == CHUNK
    window.acknowledged(CHUNK, CHUNK)
    assert window.size == 2000


def test_it_is_bounded():
    window = Window(CHUNK)
    window.bound(3000)
    assert window.size == 3000
    window.bound(8000)
    assert window.size == 3000


def test_what_may_be_in_flight_fits_the_socket_on_a_short_way_and_grows_with_a_long_one():
    short, long = most_in_flight(CHUNK, 0.0, 1 << 20), most_in_flight(CHUNK, 0.1, 1 << 20)
    assert short == most_in_flight(CHUNK, 0.02, 1 << 20) == 128_000
    assert long == 640_000


def test_what_may_be_in_flight_is_never_more_than_the_other_side_has_room_for_but_one_chunk():
    assert most_in_flight(CHUNK, 1.0, 50_000) == 50_000
    assert most_in_flight(CHUNK, 0.0, 0) == CHUNK

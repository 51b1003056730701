import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio.ring import Ring


def numbered(start, count):
    return np.arange(start, start + count, dtype=np.int16)[:, None]


def read(ring, count):
    out = np.zeros((count, 1), dtype=np.int16)
    return out[: ring.read(out), 0].tolist()


def test_what_was_written_is_read_in_order_across_any_number_of_pieces():
    ring = Ring(10, 1)
    heard = []
    for start in range(0, 100, 5):
        assert ring.write(numbered(start, 5)) == 0
        heard += read(ring, 5)
    assert heard == list(range(100))


def test_beyond_its_capacity_the_oldest_go():
    ring = Ring(10, 1)
    ring.write(numbered(0, 8))
    assert ring.write(numbered(8, 5)) == 3
    assert read(ring, 99) == list(range(3, 13))


def test_a_piece_longer_than_the_capacity_leaves_its_end():
    ring = Ring(10, 1)
    ring.write(numbered(0, 4))
    assert ring.write(numbered(4, 25)) == 19
    assert read(ring, 99) == list(range(19, 29))


def test_what_is_written_to_a_peek_is_read():
    ring = Ring(10, 1)
    ring.write(numbered(1, 4))
    ring.peek(2)[:] = 0
    assert read(ring, 4) == [0, 0, 3, 4]


def test_drop_forgets_no_more_than_there_is():
    ring = Ring(10, 1)
    ring.write(numbered(0, 4))
    assert [ring.drop(-1), ring.drop(3), ring.drop(3), len(ring)] == [0, 3, 1, 0]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=80))
def test_it_is_a_queue_with_a_bound(steps):
    ring, model, number = Ring(10, 1), [], 0
    for writes, count in steps:
        if writes:
            model += range(number, number + count)
            assert ring.write(numbered(number, count)) == max(len(model) - 10, 0)
            model, number = model[-10:], number + count
        else:
            assert read(ring, count) == model[:count]
            model = model[count:]
        assert len(ring) == len(model)

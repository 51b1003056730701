"""Token buckets by value, with a made-up clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.web.rates import Rate, Rates, TryLater, client_of


def test_a_burst_is_let_through_and_then_the_rate():
    rates = Rates(Rate(per_second=2, burst=3))
    for _ in range(3):
        rates.take("a", now=0)
    with pytest.raises(TryLater) as raised:
        rates.take("a", now=0)
    assert (raised.value.status, raised.value.retry_after) == (429, 1)
    rates.take("a", now=0.5)
    with pytest.raises(TryLater):
        rates.take("a", now=0.9)
    rates.take("a", now=1)


def test_a_pause_fills_the_bucket_and_no_more():
    rates = Rates(Rate(per_second=1, burst=2))
    rates.take("a", now=0)
    for _ in range(2):
        rates.take("a", now=1000)
    with pytest.raises(TryLater):
        rates.take("a", now=1000)


def test_refused_requests_do_not_prolong_the_wait():
    rates = Rates(Rate(per_second=1 / 8, burst=1))
    rates.take("a", now=0)
    for now in range(1, 8):
        with pytest.raises(TryLater) as raised:
            rates.take("a", now)
        assert raised.value.retry_after == 8 - now
    rates.take("a", now=8)


def test_clients_do_not_wait_for_each_other():
    rates = Rates(Rate(per_second=1, burst=1))
    rates.take("a", now=0)
    rates.take("b", now=0)


def test_the_clients_that_are_remembered_are_bounded():
    rates = Rates(Rate(burst=1), most_clients=3)
    for client in range(1000):
        rates.take(str(client), now=0)
    assert len(rates) == 3
    with pytest.raises(TryLater):
        rates.take("999", now=0)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_pattern_gets_more_than_burst_and_rate(pauses):
    rates, now, let_in = Rates(Rate(per_second=4, burst=5)), 0.0, 0
    for pause in pauses:
        now += pause
        try:
            rates.take("a", now)
            let_in += 1
        except TryLater:
            pass
    assert let_in <= 5 + 4 * now + 1e-6


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, ""),
        ("somewhere", ""),
    ],
)
def test_an_ipv6_host_is_its_network(address, client):
    assert client_of(address) == client

"""Which URLs are printed for which way of listening."""

import segno

from smallrtc_cli.web.places import Place, local_names, places, qr_code

ADDRESSES = ("127.0.0.1", "192.168.1.20", "10.0.0.5", "::1", "fe80::1", "fd00::2", "192.168.1.20")


def urls(*arguments, **more):
    return [(place.label, place.url) for place in places(*arguments, **more)]


def test_a_server_of_this_machine_has_one_url():
    assert urls("localhost", 7860, addresses=ADDRESSES) == [("here", "http://localhost:7860/")]
    assert urls("127.0.0.1", 7860, addresses=ADDRESSES) == [("here", "http://127.0.0.1:7860/")]
    assert urls("::1", 7860) == [("here", "http://[::1]:7860/")]


def test_a_server_on_all_addresses_has_those_of_the_network():
    assert urls("0.0.0.0", 7860, "https", addresses=ADDRESSES) == [
        ("here", "https://localhost:7860/"),
        ("network", "https://192.168.1.20:7860/"),
        ("network", "https://10.0.0.5:7860/"),
    ]


def test_ipv6_is_listed_where_nothing_else_is_there():
    assert urls("::", 1, addresses=("::1", "fe80::1", "fd00::2")) == [
        ("here", "http://localhost:1/"),
        ("network", "http://[fd00::2]:1/"),
    ]
    assert urls("0.0.0.0", 1, addresses=("fd00::2",)) == [("here", "http://localhost:1/")]


def test_one_address_or_name_is_for_the_network():
    assert places("192.168.1.20", 7860) == [Place("network", "http://192.168.1.20:7860/")]
    assert places("mylaptop.local", 7860) == [Place("network", "http://mylaptop.local:7860/")]


def test_a_default_port_is_left_out():
    assert urls("localhost", 443, "https") == [("here", "https://localhost/")]
    assert urls("localhost", 443, "http") == [("here", "http://localhost:443/")]


def test_the_token_goes_along():
    assert urls("localhost", 7860, token="a b&c/ü") == [("here", "http://localhost:7860/?token=a%20b%26c%2F%C3%BC")]


def test_this_machine_has_a_name():
    names = local_names()
    assert "localhost" in names
    assert any(name.endswith(".local") for name in names)
    assert all(name == name.lower() for name in names)


def test_a_qr_code_says_the_url_in_half_blocks():
    url = "https://192.168.1.20:7860/?token=0123456789abcdef"
    lines = qr_code(url).splitlines()
    assert len({len(line) for line in lines}) == 1
    modules = [
        [cell in cells for cell in line] for line in lines for cells in ("█▀", "█▄")
    ]  # on a dark terminal, what is drawn is light
    expected = [[not module for module in row] for row in segno.make_qr(url).matrix_iter(border=2)]
    assert modules[: len(expected)] == expected
    assert all(map(all, modules[len(expected) :]))


def test_a_qr_code_for_a_light_terminal_is_the_other_way_round():
    swap = str.maketrans(" █▀▄", "█ ▄▀")
    assert qr_code("http://192.0.2.7/", dark_terminal=False) == qr_code("http://192.0.2.7/").translate(swap)

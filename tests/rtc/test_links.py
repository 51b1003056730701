from smallrtc_cli.rtc import links
from smallrtc_cli.rtc.addresses import Interface
from smallrtc_cli.rtc.links import Link


def test_an_interface_has_the_mtu_that_the_system_tells_and_none_where_it_tells_nothing(tmp_path, monkeypatch):
    for name, text in (("wg0", "1420\n"), ("odd0", "much")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mtu").write_text(text)
    found = tuple(Interface(name, ("192.0.2.1",)) for name in ("wg0", "odd0", "gone0"))
    monkeypatch.setattr(links, "_SYSTEM", tmp_path)
    monkeypatch.setattr(links, "local_interfaces", lambda: found)
    mtus = {"wg0": 1420, "odd0": None, "gone0": None}
    assert links.links() == tuple(Link(name, ("192.0.2.1",), mtu) for name, mtu in mtus.items())


def test_this_machine_has_one_at_least():
    assert any("127.0.0.1" in link.addresses for link in links.links())

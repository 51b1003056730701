import asyncio
import socket
import threading

import pytest

from smallrtc_cli.rtc.lookup import look_up, on_thread


async def test_all_addresses_of_a_name_come_once_and_in_order(monkeypatch):
    def answer(host, port, *args, **kwargs):
        assert host == "here.invalid"
        return [(0, 0, 0, "", (address, 0)) for address in ("192.0.2.9", "192.0.2.9", "2001:db8::9")]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert await look_up("here.invalid") == ("192.0.2.9", "2001:db8::9")


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
async def test_what_the_resolver_raises_comes_out(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(error)):
        await look_up("here.invalid")


async def test_a_call_that_hangs_can_be_given_up_and_its_late_result_goes_nowhere():
    go, done = threading.Event(), threading.Event()

    def hang():
        go.wait(30)
        done.set()
        return 1

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await on_thread(hang, "hang")
    go.set()
    assert await asyncio.to_thread(done.wait, 10)


def test_the_end_of_the_loop_does_not_wait_for_a_call_that_hangs():
    go = threading.Event()
    threads = []

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await on_thread(lambda: go.wait(30), "hangs for long")
        threads.extend(each for each in threading.enumerate() if each.name == "hangs for long")

    asyncio.run(main())
    assert [each.is_alive() for each in threads] == [True]
    go.set()
    threads[0].join(10)
    assert not threads[0].is_alive()

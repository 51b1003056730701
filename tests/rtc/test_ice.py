"""ICE on its event, servers that cost no time, and an end that leaves nothing."""

import asyncio
import socket
import threading
from dataclasses import dataclass, field

import pytest
from aioice import Candidate, stun
from calls import holdings, until
from ice_services import LOOPBACK, MAPPED, free_port

from smallrtc_cli.config import Ice
from smallrtc_cli.rtc.ice import IceAgent, host_addresses
from smallrtc_cli.rtc.servers import StunServer

NEVER = 3600.0
"Seconds that no test waits: what takes its event takes no such time."

EAGER = Ice(gather_timeout=0.05, trickle_timeout=NEVER, stagger=0.01)
UNPACED = Ice(pacing=NEVER)


def introduce(one: IceAgent, other: IceAgent) -> None:
    """What the descriptions say, but for the candidates."""
    one.ice_controlling = True
    for here, there in ((one, other), (other, one)):
        here.remote_username, here.remote_password = there.local_username, there.local_password


async def tell_candidates(one: IceAgent, other: IceAgent) -> None:
    for here, there in ((one, other), (other, one)):
        for candidate in there.local_candidates:
            await here.add_remote_candidate(candidate)
        await here.add_remote_candidate(None)


async def gathered(make_agent, settings: Ice | None = None) -> tuple[IceAgent, IceAgent]:
    one, other = make_agent(settings=settings), make_agent(settings=settings)
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    introduce(one, other)
    return one, other


async def connected(make_agent, settings: Ice | None = None) -> tuple[IceAgent, IceAgent]:
    one, other = await gathered(make_agent, settings)
    await tell_candidates(one, other)
    await asyncio.wait_for(asyncio.gather(one.connect(), other.connect()), 10)
    return one, other


async def some_rounds_of_the_loop(rounds: int = 20) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


@pytest.fixture
def hasty_checks(monkeypatch) -> None:
    """A check that is not answered fails at once, not after a minute."""
    monkeypatch.setattr(stun, "RETRY_MAX", 0)
    monkeypatch.setattr(stun, "RETRY_RTO", 0.02)


@dataclass
class Told:
    """What an agent trickled."""

    candidates: list[Candidate | None] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, candidate: Candidate | None) -> None:
        self.candidates.append(candidate)
        if candidate is None:
            self.ended.set()


# Candidates


def test_a_machine_without_an_interface_has_its_loopback_address(loopback_only):
    assert host_addresses() == [LOOPBACK]


# Connecting


async def test_one_pair_connects_on_its_event_however_slow_the_pacing_is(make_agent):
    one, other = await connected(make_agent, UNPACED)
    assert one.nominated_pair().state.name == other.nominated_pair().state.name == "SUCCEEDED"
    await one.send(b"hello")
    assert await asyncio.wait_for(other.recv(), 5) == b"hello"


async def test_an_agent_that_has_nothing_to_check_does_not_look_again_and_again(make_agent, monkeypatch):
    one, _ = await gathered(make_agent)
    looks = []
    look = one.start_next_check
    monkeypatch.setattr(one, "start_next_check", lambda: looks.append(1) or look())
    connecting = asyncio.create_task(one.connect())
    await asyncio.sleep(5 * Ice().pacing)
    assert len(looks) == 1
    await one.close()
    with pytest.raises(ConnectionError):
        await connecting


async def test_candidates_that_come_after_connect_has_begun_are_used(make_agent):
    one, other = await gathered(make_agent, UNPACED)
    connecting = asyncio.gather(one.connect(), other.connect())
    await some_rounds_of_the_loop()
    assert not connecting.done()
    await tell_candidates(one, other)
    await asyncio.wait_for(connecting, 10)


async def test_a_side_that_is_told_no_candidate_learns_it_from_the_check(make_agent):
    one, other = await gathered(make_agent, UNPACED)
    await one.add_remote_candidate(other.local_candidates[0])
    await asyncio.wait_for(asyncio.gather(one.connect(), other.connect()), 10)
    assert other.nominated_pair().remote_candidate.type == "prflx"


async def test_connect_fails_when_every_pair_has_failed_and_no_candidate_can_come(make_agent, hasty_checks):
    one, _ = await gathered(make_agent)
    dead = Candidate.from_sdp(f"1 1 udp 2130706431 {LOOPBACK} {free_port()} typ host")
    await one.add_remote_candidate(dead)
    connecting = asyncio.create_task(one.connect())
    await until(lambda: one.pairs() and one.pairs()[0].state.name == "FAILED")
    assert not connecting.done()  # the other side may still say more
    await one.add_remote_candidate(None)
    with pytest.raises(ConnectionError, match="no candidate pair works"):
        await asyncio.wait_for(connecting, 10)


async def test_connect_fails_when_there_is_no_pair_at_all(make_agent):
    one, _ = await gathered(make_agent)
    await one.add_remote_candidate(None)
    with pytest.raises(ConnectionError, match="no candidate pair works"):
        await asyncio.wait_for(one.connect(), 10)


async def test_connect_does_not_fail_while_a_relay_may_still_come(make_agent, silent_service):
    settings = Ice(gather_timeout=0.0, trickle_timeout=0.3)
    one, other = make_agent((), [silent_service.turn_server], settings=settings), make_agent()
    await asyncio.gather(one.gather_candidates(), other.gather_candidates())
    introduce(one, other)
    await one.add_remote_candidate(None)
    connecting = asyncio.create_task(one.connect())
    await some_rounds_of_the_loop()
    assert one.trickling
    assert not connecting.done()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(connecting, 10)
    assert not one.trickling


async def test_connect_without_the_credentials_of_the_other_side_is_refused(make_agent):
    agent = make_agent()
    await agent.gather_candidates()
    with pytest.raises(ConnectionError, match="credentials"):
        await agent.connect()


# Gathering


async def test_a_silent_stun_server_delays_no_longer_than_the_settings_say(make_agent, silent_service):
    agent = make_agent([silent_service.server], settings=EAGER)
    await asyncio.wait_for(agent.gather_candidates(), 2)
    assert agent.trickling  # the question is still open
    assert silent_service.requests == 1
    assert [c.type for c in agent.local_candidates] == ["host"]


async def test_a_server_that_answers_is_not_waited_for_any_longer(make_agent, stun_service):
    agent = make_agent([stun_service.server], settings=Ice(gather_timeout=NEVER, trickle_timeout=NEVER))
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert not agent.trickling
    host, mapped = agent.local_candidates
    assert (mapped.type, mapped.host, mapped.port) == ("srflx", *MAPPED)
    assert (mapped.related_address, mapped.related_port) == (host.host, host.port)
    assert mapped.priority < host.priority


async def test_a_mapped_address_that_is_the_own_one_makes_no_candidate(make_agent, stun_service, monkeypatch):
    agent = make_agent([stun_service.server])
    add = agent.add_local_candidate
    taken = lambda c, p=None: setattr(stun_service, "mapped", (c.host, c.port)) or add(c, p)  # noqa: E731
    monkeypatch.setattr(agent, "add_local_candidate", taken)
    await agent.gather_candidates()
    assert stun_service.requests == 1
    assert [c.type for c in agent.local_candidates] == ["host"]


async def test_the_second_server_is_asked_when_the_first_is_silent(make_agent, silent_service, stun_service):
    settings = Ice(gather_timeout=NEVER, trickle_timeout=NEVER, stagger=0.01)
    agent = make_agent([silent_service.server, stun_service.server], settings=settings)
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert [c.host for c in agent.local_candidates if c.type == "srflx"] == [MAPPED[0]]
    assert (silent_service.requests, stun_service.requests) == (1, 1)


async def test_the_second_server_is_not_asked_when_the_first_answers(make_agent, stun_service, silent_service):
    agent = make_agent([stun_service.server, silent_service.server], settings=Ice(stagger=NEVER))
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert silent_service.requests == 0


async def test_a_name_that_does_not_resolve_costs_nothing_and_is_noted(make_agent, stun_service, monkeypatch):
    def look_up(host: str) -> str:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    nowhere = StunServer("stun:nowhere.invalid", "nowhere.invalid", 3478)
    settings = Ice(gather_timeout=NEVER, trickle_timeout=NEVER, stagger=NEVER)
    agent = make_agent([nowhere, stun_service.server], settings=settings)
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert "no such name" in agent.server_errors["stun:nowhere.invalid"]
    assert len(agent.local_candidates) == 2


async def test_a_resolver_that_hangs_holds_up_neither_gathering_nor_closing(make_agent, monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(socket, "gethostbyname", lambda host: let_go.wait(30) and LOOPBACK)
    before = holdings()
    agent = make_agent([StunServer("stun:slow.invalid", "slow.invalid", 3478)], settings=EAGER)
    await asyncio.wait_for(agent.gather_candidates(), 2)
    await asyncio.wait_for(agent.close(), 2)
    let_go.set()
    await until(lambda: holdings() == before)


async def test_with_trickle_gathering_returns_at_once_and_the_candidate_comes_behind_it(make_agent, stun_service):
    told = Told()
    agent = make_agent([stun_service.server], settings=Ice(gather_timeout=NEVER, trickle_timeout=NEVER), trickle=told)
    await agent.gather_candidates()
    assert (stun_service.requests, told.candidates) == (0, [])
    assert agent.trickling
    await asyncio.wait_for(told.ended.wait(), 5)
    assert [c and c.type for c in told.candidates] == ["srflx", None]
    assert not agent.trickling


async def test_with_trickle_a_silent_server_ends_with_none_and_a_reason(make_agent, silent_service):
    told = Told()
    agent = make_agent([silent_service.server], settings=Ice(trickle_timeout=0.1), trickle=told)
    await agent.gather_candidates()
    await asyncio.wait_for(told.ended.wait(), 5)
    assert told.candidates == [None]
    assert agent.server_errors == {silent_service.server.url: "no answer"}


async def test_without_servers_there_is_nothing_to_trickle(make_agent):
    told = Told()
    agent = make_agent(trickle=told)
    await agent.gather_candidates()
    assert not agent.trickling
    assert told.candidates == []


async def test_relay_only_has_no_host_candidate_and_asks_no_stun_server(make_agent, stun_service):
    agent = make_agent([stun_service.server], relay_only=True)
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert agent.local_candidates == []
    assert stun_service.requests == 0


async def test_relay_only_waits_for_a_turn_server_as_long_as_it_is_asked_and_says_that_none_came(
    make_agent, silent_service
):
    settings = Ice(gather_timeout=0.0, trickle_timeout=0.1)
    agent = make_agent((), [silent_service.turn_server], relay_only=True, settings=settings)
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert not agent.trickling
    assert agent.server_errors == {silent_service.turn_server.url: "no answer"}


async def test_a_result_that_comes_in_the_moment_of_the_cancellation_is_not_lost(make_agent):
    """A relay that nobody holds would keep its socket."""
    agent, result, used = make_agent(), asyncio.get_running_loop().create_future(), []

    async def attempt() -> str:
        return await result

    asking = asyncio.create_task(agent._first_success([("turn:a", attempt)], used.append))
    await some_rounds_of_the_loop()
    result.set_result("relay")
    await asyncio.sleep(0)  # the attempt has its result, the one who asks has not seen it
    asking.cancel()
    await asyncio.wait({asking})
    assert used == ["relay"]


# Liveness


async def test_a_request_with_a_wrong_password_is_no_sign_of_life(make_agent):
    one, other = await connected(make_agent)
    pair = one.nominated_pair()
    forged = one.build_request(pair, nominate=False)
    forged.add_message_integrity(b"wrong")
    other.last_heard = 0.0
    with pytest.raises(stun.TransactionFailed, match="401"):
        await pair.protocol.request(forged, pair.remote_addr)
    assert other.last_heard == 0.0


async def test_data_is_a_sign_of_life(make_agent):
    one, other = await connected(make_agent)
    other.last_heard = 0.0
    await one.send(b"data")
    await asyncio.wait_for(other.recv(), 5)
    assert other.last_heard > 0.0


async def test_consent_is_a_sign_of_life(make_agent):
    one, _ = await connected(make_agent)
    one.last_heard = 0.0
    assert await one.ask_consent()
    assert one.last_heard > 0.0


async def test_consent_of_a_side_that_is_gone_does_not_come(make_agent, hasty_checks):
    one, other = await connected(make_agent)
    await other.close()
    one.last_heard = 0.0
    assert not await one.ask_consent()
    assert one.last_heard == 0.0


async def test_without_a_pair_there_is_no_consent_to_ask_for(make_agent):
    assert not await make_agent().ask_consent()


# The end


async def test_closing_leaves_no_task_and_no_socket(make_agent):
    before = holdings()
    one, other = await connected(make_agent)
    await asyncio.gather(one.close(), other.close())
    await until(lambda: holdings() == before)


async def test_closing_twice_and_at_once_is_closing(make_agent):
    before = holdings()
    one, other = await connected(make_agent)
    await asyncio.gather(one.close(), one.close(), other.close())
    await one.close()
    await until(lambda: holdings() == before)


async def test_one_who_stops_waiting_for_the_close_does_not_stop_it(make_agent):
    before = holdings()
    agent = make_agent()
    await agent.gather_candidates()
    impatient = asyncio.create_task(agent.close())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    await asyncio.wait_for(agent.close(), 5)
    await until(lambda: holdings() == before)


async def test_closing_while_it_connects_ends_connect_and_leaves_nothing(make_agent):
    before = holdings()
    one, other = await gathered(make_agent)
    await one.add_remote_candidate(Candidate.from_sdp(f"1 1 udp 2130706431 {LOOPBACK} {free_port()} typ host"))
    connecting = asyncio.create_task(one.connect())
    await some_rounds_of_the_loop()
    assert one.pairs()[0].state.name == "IN_PROGRESS"
    await asyncio.gather(one.close(), other.close())
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(connecting, 5)
    await until(lambda: holdings() == before)


async def test_closing_in_the_moment_of_success_leaves_no_consent_task(make_agent, monkeypatch):
    before = holdings()
    one, other = await gathered(make_agent)
    await tell_candidates(one, other)
    closing = []

    def complete(pair: object) -> None:
        closing.append(asyncio.create_task(one.close()))
        IceAgent.check_complete(one, pair)

    monkeypatch.setattr(one, "check_complete", complete)
    serving = asyncio.create_task(other.connect())
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(one.connect(), 10)
    await asyncio.gather(*closing, other.close(), serving, return_exceptions=True)
    closing.clear()
    del serving
    await until(lambda: holdings() == before)


@pytest.mark.parametrize("rounds", range(8))
async def test_closing_at_any_point_of_gathering_leaves_nothing_and_tells_nothing(make_agent, silent_service, rounds):
    before = holdings()
    told = Told()
    agent = make_agent([silent_service.server], [silent_service.turn_server], settings=EAGER, trickle=told)
    gathering = asyncio.create_task(agent.gather_candidates())
    await some_rounds_of_the_loop(rounds)
    await asyncio.wait_for(agent.close(), 5)
    await asyncio.wait_for(gathering, 5)
    await until(lambda: holdings() == before)
    assert told.candidates == []


@pytest.mark.parametrize("rounds", range(8))
async def test_gathering_that_is_cancelled_leaves_nothing_once_it_is_closed(make_agent, silent_service, rounds):
    before = holdings()
    agent = make_agent([silent_service.server], [silent_service.turn_server])
    gathering = asyncio.create_task(agent.gather_candidates())
    await some_rounds_of_the_loop(rounds)
    gathering.cancel()
    await asyncio.wait({gathering})
    await asyncio.wait_for(agent.close(), 5)
    await until(lambda: holdings() == before)


async def test_nothing_is_gathered_or_connected_after_the_end(make_agent):
    before = holdings()
    agent = make_agent()
    await agent.close()
    await agent.gather_candidates()
    agent.remote_username, agent.remote_password = "user", "p" * 22
    with pytest.raises(ConnectionError, match="closed"):
        await agent.connect()
    assert agent.local_candidates == []
    assert holdings() == before


async def test_the_other_side_learns_of_lost_consent_by_an_event(make_agent, hasty_checks, monkeypatch):
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.01)
    one, other = await connected(make_agent)
    await other.close()
    await asyncio.wait_for(one.get_event(), 10)
    assert one.is_closing()


# What is no STUN


async def test_media_is_seen_where_it_arrives_and_what_is_not_taken_waits_as_before(make_agent):
    one, other = await connected(make_agent)
    seen = []
    other.take_media = lambda data: seen.append(data) or data.startswith(b"\x80")
    for data in (b"\x80 sound", b"\x16 dtls", b"\x40 channel"):
        await one.send(data)
    assert [await asyncio.wait_for(other.recv(), 5) for _ in range(2)] == [b"\x16 dtls", b"\x40 channel"]
    assert seen == [b"\x80 sound", b"\x16 dtls", b"\x40 channel"]


async def test_a_datagram_without_a_byte_is_nothing(make_agent):
    one, other = await connected(make_agent)
    await one.send(b"")
    await one.send(b"\x16 after it")
    assert await asyncio.wait_for(other.recv(), 5) == b"\x16 after it"

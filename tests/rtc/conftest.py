"""Fixtures for ICE: STUN in this process, one that says nothing, and coturn beside it; agents that are closed."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from ice_services import MAPPED, Coturn, StunService, needs_coturn, self_made_certificate
from ice_services import coturn as running_coturn
from ice_services import stun_service as running_stun_service

from smallrtc_cli.rtc import ice


@pytest.fixture
def loopback_only(monkeypatch) -> None:
    """A machine without a network interface: one host candidate, and with another such agent one pair."""
    monkeypatch.setattr(ice, "own_addresses", list)


@pytest.fixture
async def make_agent(loopback_only) -> AsyncIterator[Callable[..., ice.IceAgent]]:
    agents: list[ice.IceAgent] = []

    def make(*args, **kwargs) -> ice.IceAgent:
        agents.append(ice.IceAgent(*args, **kwargs))
        return agents[-1]

    yield make
    for agent in agents:
        await agent.close()


@pytest.fixture
async def stun_service() -> AsyncIterator[StunService]:
    async with running_stun_service(MAPPED) as service:
        yield service


@pytest.fixture
async def silent_service() -> AsyncIterator[StunService]:
    async with running_stun_service(None) as service:
        yield service


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    return self_made_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def coturn(tmp_path_factory, certificate) -> Iterator[Coturn]:
    """A TURN server that all tests share."""
    needs_coturn()
    with running_coturn(tmp_path_factory.mktemp("coturn"), certificate) as server:
        yield server


@pytest.fixture
def mortal_coturn(tmp_path, certificate) -> Iterator[Coturn]:
    """A TURN server that a test may stop."""
    needs_coturn()
    with running_coturn(tmp_path, certificate) as server:
        yield server

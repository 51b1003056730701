"""A TURN server tried for real: an allocation as a call makes it, given back at once.

An ICE agent keeps to itself why a server gave no relay; here the true reason comes out.
"""

import asyncio
from dataclasses import dataclass

from aioice import stun

from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.refusals import Refusal, refusal
from smallrtc_cli.rtc.servers import Relay, TurnServer, allocation, resolve
from smallrtc_cli.rtc.sockets import Address
from smallrtc_cli.rtc.udp import unless_refused


@dataclass(frozen=True, slots=True)
class Allocation:
    """What came of it; `seconds` is how long it took."""

    server: TurnServer
    seconds: float
    relay: Address | None = None
    address: str | None = None
    "The server's, once it is known."

    refusal: Refusal | None = None


async def allocate(server: TurnServer, bound: float) -> Allocation:
    """Ask for a relay and give it back; after `bound` seconds without an answer the server counts as silent."""
    loop = asyncio.get_running_loop()
    began, address, agent = loop.time(), None, IceAgent()
    try:
        async with asyncio.timeout(bound):
            address, _ = await resolve(server.host, server.port)
            candidate, _ = await _ask(agent, server, address)
        return Allocation(server, loop.time() - began, (candidate.host, candidate.port), address)
    except (OSError, UnicodeError, stun.TransactionError) as error:
        return Allocation(server, loop.time() - began, None, address, refusal(error))
    finally:
        await agent.close()


async def _ask(agent: IceAgent, server: TurnServer, address: str) -> Relay:
    async def work() -> Relay:
        relay = await allocation(agent, server, hide=False)()
        agent.add_local_candidate(*relay)  # which gives it back when it is closed, whatever happens meanwhile
        return relay

    return await (unless_refused((address, server.port), work()) if server.transport == "udp" else work())

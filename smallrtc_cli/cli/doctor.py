"""`smallrtc doctor` as it is typed."""

from typing import Annotated

import typer

from smallrtc_cli.cli import network
from smallrtc_cli.cli.app import Command, Verbose, app, examples, log
from smallrtc_cli.errors import ExitCode


@app.command(
    cls=Command,
    epilog=examples(
        ("is this machine fit for calls?", "smallrtc doctor"),
        ("why does the call to this server not work?", "smallrtc doctor https://bot.example:7860"),
        (
            "do these STUN and TURN servers work from here?",
            """smallrtc doctor --ice-servers stun:s.example \\
      --ice-servers '{"urls":"turn:t.org","username":"u","credential":"p"}'""",
        ),
        ("for a script", "smallrtc doctor localhost:7860 --json > doctor.json"),
    ),
)
def doctor(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL", help="A server to call and to hang up at once, in any form that `connect` takes."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Trust any certificate, a self-made one too.")] = False,
    token: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="Send it as a bearer; SMALLRTC_TOKEN does the same, unseen by ps."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Send this with each request; repeatable.")
    ] = None,
    ice_servers: network.IceServers = None,
    ice_policy: network.IcePolicy = "all",
    udp_ports: network.UdpPorts = None,
    interface: network.Interface = None,
    verbose: Verbose = 0,
) -> ExitCode:
    """Say why a call does not work here, stage by stage, and what to do about it.

    Versions, interfaces, DNS, UDP, every STUN and TURN server with a real allocation, sound devices; with a URL also
    the server, and a call to it. No step takes longer than 2 s, a call that does not come up 10 s.

    Exit codes: 0 no stage failed, 1 one failed, 2 a usage error, 3 the server is not reached, 130 Ctrl-C.
    """
    log(context, verbose)
    from smallrtc_cli.commands.doctor.run import DoctorOptions, run
    from smallrtc_cli.commands.network import NetworkOptions

    return run(
        DoctorOptions(
            url=url,
            json=json,
            insecure=insecure,
            token=token,
            headers=tuple(header or ()),
            network=NetworkOptions(
                ice_servers=tuple(ice_servers or ()),
                ice_policy=ice_policy,
                udp_ports=udp_ports,
                interfaces=tuple(interface or ()),
            ),
        )
    )

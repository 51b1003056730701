"""`smallrtc probe-mtu` as it is typed."""

from pathlib import Path
from typing import Annotated

import typer

from smallrtc_cli.cli import network
from smallrtc_cli.cli.app import Command, Verbose, app, examples, log
from smallrtc_cli.cli.values import seconds
from smallrtc_cli.errors import ExitCode


@app.command(
    "probe-mtu",
    cls=Command,
    epilog=examples(
        (
            "what does the path to this server carry, and what is to be set?",
            "smallrtc probe-mtu https://bot.example:7860",
        ),
        ("put that into the server's settings", "smallrtc probe-mtu localhost:7860 --write-env .env"),
        (
            "between two hosts without a server: on the one, then on the other",
            "smallrtc probe-mtu --listen --host 0.0.0.0",
        ),
        ("does it change when the VPN comes up?", "smallrtc probe-mtu localhost:7860 --watch 5"),
        ("for a script", "smallrtc probe-mtu localhost:7860 --json --confirm 3 > path.json"),
    ),
)
def probe_mtu(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="Of any SmallWebRTC server, in any form that `connect` takes."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Send this with each request; repeatable.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="Send it as a bearer, or ask for it with --listen; SMALLRTC_TOKEN does the same, unseen by ps.",
        ),
    ] = None,
    body: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Data for the bot: its `runner_args.body`.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Trust any certificate, a self-made one too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print events as JSON objects, one a line.")] = False,
    write_env: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Set PIPECAT_SCTP_MAX_CHUNK_SIZE in this file; its other lines stay."),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option(parser=seconds("--watch"), metavar="S", help="Probe again as often as this, and tell changes."),
    ] = None,
    confirm: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Probe N times; answers that differ are inconclusive.")
    ] = 1,
    listen: Annotated[
        bool, typer.Option("--listen", help="Answer probes here, where no server runs, until Ctrl-C.")
    ] = False,
    host: Annotated[str, typer.Option(metavar="HOST", help="With --listen: on this name or address.")] = "localhost",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="With --listen; 0 picks a free one.")
    ] = 7860,
    ice_servers: network.IceServers = None,
    ice_policy: network.IcePolicy = "all",
    udp_ports: network.UdpPorts = None,
    interface: network.Interface = None,
    public_ip: network.PublicIp = None,
    sctp_chunk: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="The size that is in use now, to compare with; SMALLRTC_ or PIPECAT_SCTP_MAX_CHUNK_SIZE.",
        ),
    ] = None,
    verbose: Verbose = 0,
) -> ExitCode:
    """Measure what the path of a call carries in one piece.

    Large messages stall for good where packets are too long for the path and nobody tells. Both directions are
    measured on the connection itself, in a tenth of a second or so. The setting that fits is printed as a line to
    copy, alone on stdout where that is no terminal.

    Exit codes: 0 found, 1 the path carries less than 576 bytes or nothing flows, 2 a usage error, 3 no connection,
    4 inconclusive, 130 Ctrl-C.
    """
    log(context, verbose)
    from smallrtc_cli.commands.network import NetworkOptions
    from smallrtc_cli.commands.probe_mtu.options import ProbeOptions
    from smallrtc_cli.commands.probe_mtu.run import run

    return run(
        ProbeOptions(
            url=url,
            headers=tuple(header or ()),
            token=token,
            body=body,
            insecure=insecure,
            network=NetworkOptions(
                ice_servers=tuple(ice_servers or ()),
                ice_policy=ice_policy,
                udp_ports=udp_ports,
                interfaces=tuple(interface or ()),
                public_ip=public_ip,
                sctp_chunk=sctp_chunk,
            ),
            json=json,
            json_lines=json_lines,
            write_env=write_env,
            watch=watch,
            confirm=confirm,
            listen=listen,
            host=host,
            port=port,
        )
    )

"""`smallrtc serve` as it is typed."""

import time
from pathlib import Path
from typing import Annotated, cast

import typer

from smallrtc_cli.cli import network
from smallrtc_cli.cli.app import Command, Typed, Verbose, app, examples, log
from smallrtc_cli.errors import ExitCode


@app.command(
    cls=Command,
    epilog=examples(
        ("run the bot in bot.py, and open the printed address in a browser", "smallrtc serve"),
        (
            "another file, another function, with arguments for the bot",
            "smallrtc serve bots/tutor.py:main -- --voice amy",
        ),
        ("is it the bot or the line? a bot that only echoes", "smallrtc serve echo"),
        (
            "let a phone in the same network call, with its microphone",
            "smallrtc serve --host 0.0.0.0 --https --token secret",
        ),
        ("events for a script", "smallrtc serve --json-lines > events.jsonl"),
    ),
)
def serve(
    context: typer.Context,
    bot: Annotated[
        str | None,
        typer.Argument(
            metavar="BOT",
            help="bot.py, bot.py:function, package.module:function, echo or tone. Without it: bot.py here, or "
            "`bot` in [tool.smallrtc] of pyproject.toml, or echo. What follows -- reaches the bot.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Listen on this name or address.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 picks a free one.")] = 7860,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate", help="Run each session's bot in a process of its own, so that none stutters another."
        ),
    ] = False,
    max_sessions: Annotated[
        int | None, typer.Option(min=1, max=100_000, metavar="N", help="Take at most N calls at a time.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep each session there: a WAV (left the client, right the bot), messages."),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print events as JSON objects, one a line.")] = False,
    reload: Annotated[
        bool | None,
        typer.Option(
            "--reload/--no-reload", help="New calls get edited code, live ones keep theirs. On in a terminal."
        ),
    ] = None,
    reload_dir: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Watch this folder, not the bot's; repeatable.")
    ] = None,
    reload_include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Watch these files besides *.py and .env; repeatable.")
    ] = None,
    reload_exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Do not watch these; repeatable.")
    ] = None,
    reload_delay: Annotated[
        float, typer.Option(min=0.0, max=60.0, metavar="S", help="Wait for this much quiet after an edit.")
    ] = 0.25,
    token: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="Ask every caller for this; SMALLRTC_TOKEN does the same, unseen by ps."),
    ] = None,
    allowed_origins: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", help="Let pages of this origin call (`*`: any); repeatable. PIPECAT_ALLOWED_ORIGINS."
        ),
    ] = None,
    https: Annotated[
        bool, typer.Option("--https", help="With a self-made certificate: browsers give other pages no microphone.")
    ] = False,
    ssl_certfile: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate, in PEM.")] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, if that is a file apart.")] = None,
    esp32: Annotated[bool, typer.Option("--esp32", help="Answers that an ESP32 understands; needs --host.")] = False,
    ice_servers: network.IceServers = None,
    ice_policy: network.IcePolicy = "all",
    udp_ports: network.UdpPorts = None,
    interface: network.Interface = None,
    public_ip: network.PublicIp = None,
    sctp_chunk: network.SctpChunk = None,
    verbose: Verbose = 0,
) -> ExitCode:
    """Answer WebRTC offers and run a bot, with a web page to talk to it.

    Stays until Ctrl-C, which ends the calls politely; a second one ends at once. Other origins than the page's own
    are refused unless they are allowed.
    """
    log(context, verbose)
    started = time.monotonic()  # before the imports: they are most of what there is to wait for
    from smallrtc_cli.commands.network import NetworkOptions
    from smallrtc_cli.commands.serve import ServeOptions, run

    typed = cast("Typed", context.obj)
    return run(
        ServeOptions(
            bot=bot,
            bot_arguments=typed.behind,
            host=host,
            port=port,
            reload=reload,
            reload_dirs=tuple(reload_dir or ()),
            reload_include=tuple(reload_include or ()),
            reload_exclude=tuple(reload_exclude or ()),
            reload_delay=reload_delay,
            isolate=isolate,
            max_sessions=max_sessions,
            token=token,
            allowed_origins=tuple(allowed_origins or ()),
            https=https,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
            esp32=esp32,
            network=NetworkOptions(
                ice_servers=tuple(ice_servers or ()),
                ice_policy=ice_policy,
                udp_ports=udp_ports,
                interfaces=tuple(interface or ()),
                public_ip=public_ip,
                sctp_chunk=sctp_chunk,
            ),
            record=record,
            json_lines=json_lines,
            verbosity=typed.verbose + verbose,
            started=started,
        )
    )

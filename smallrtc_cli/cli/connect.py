"""`smallrtc connect` as it is typed."""

from pathlib import Path
from typing import Annotated

import typer

from smallrtc_cli.cli import network
from smallrtc_cli.cli.app import Command, Verbose, app, examples, log
from smallrtc_cli.cli.values import seconds
from smallrtc_cli.errors import ExitCode


@app.command(
    cls=Command,
    epilog=examples(
        ("talk to the bot of `smallrtc serve`, with microphone and speaker", "smallrtc connect localhost:7860"),
        (
            "ask by a file, keep both sides, hang up when it was answered",
            """smallrtc connect localhost:7860 --play-from question.wav \\
      --record-to call.wav --exit-after-play""",
        ),
        (
            "a test for a script: say something, wait for an answer",
            """smallrtc connect localhost:7860 --no-input --no-output \\
      --text hello --expect '{"type": "bot-output"}'""",
        ),
        (
            "over a relay and nothing else",
            """smallrtc connect https://bot.example --ice-policy relay \\
      --ice-servers '{"urls":"turn:t.org","username":"u","credential":"p"}'""",
        ),
        (
            "both sides into another program",
            "smallrtc connect localhost:7860 --record-to - | aplay -f dat",
        ),
    ),
)
def connect(
    context: typer.Context,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Of a server (`/start` is tried, then `/api/offer`), or of its /start, /api/offer or "
            "/sessions/ID/api/offer.",
        ),
    ],
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Send this with each request; repeatable.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="SECRET", help="Send it as a bearer; SMALLRTC_TOKEN does the same, unseen by ps."),
    ] = None,
    body: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Data for the bot: its `runner_args.body`.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Trust any certificate, a self-made one too.")] = False,
    input_device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="The microphone, by its index or a part of its name.")
    ] = None,
    output_device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="The speaker; `smallrtc devices` lists both.")
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Open no microphone: send silence.")] = False,
    no_output: Annotated[bool, typer.Option("--no-output", help="Open no speaker.")] = False,
    play_from: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Say this in place of a microphone; `-` is raw s16le mono on stdin."),
    ] = None,
    raw_rate: Annotated[
        int, typer.Option(min=1000, max=384_000, metavar="HZ", help="The sample rate of raw sound on stdin.")
    ] = 48_000,
    loop: Annotated[bool, typer.Option("--loop", help="Play the file again and again.")] = False,
    exit_after_play: Annotated[
        bool,
        typer.Option("--exit-after-play", help="Hang up when the file, and the bot's answer (2 min at most), is over."),
    ] = False,
    record_to: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Keep a WAV: left me, right the bot; `-` is raw s16le on stdout."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(parser=seconds("--duration"), metavar="S", help="Hang up after this time.")
    ] = None,
    video_from: Annotated[
        str | None, typer.Option(metavar="FILE|test", help="Send the pictures of this file, or a test card.")
    ] = None,
    record_video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the bot's pictures: .mp4, .mkv or .webm.")
    ] = None,
    aec: Annotated[
        bool, typer.Option("--aec/--no-aec", help="Cancel the speaker's echo, where `livekit` is installed.")
    ] = True,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="Begin muted; the space bar opens and closes the microphone.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print events as JSON objects, one a line.")] = False,
    stats: Annotated[
        float | None,
        typer.Option(parser=seconds("--stats"), metavar="S", help="With --json-lines: statistics as often as this."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Say this as typed text (RTVI `send-text`); repeatable.")
    ] = None,
    message: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help="Send this object as it is; repeatable.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="JSON", help="Wait for a message that contains this object; repeatable; unmet: exit 1."),
    ] = None,
    expect_timeout: Annotated[
        float,
        typer.Option(parser=seconds("--expect-timeout"), metavar="S", help="How long to wait for that."),
    ] = 10.0,
    expect_audio: Annotated[
        float | None,
        typer.Option(
            parser=seconds("--expect-audio"), metavar="S", help="Fail unless the bot is heard within this time."
        ),
    ] = None,
    reconnect: Annotated[
        int, typer.Option(min=0, max=1000, metavar="N", help="Call again this often when the connection breaks.")
    ] = 3,
    restart_after: Annotated[
        float | None,
        typer.Option(
            parser=seconds("--restart-after"), metavar="S", help="Replace the peer connection then (`restart_pc`)."
        ),
    ] = None,
    audio_codec: Annotated[
        str | None, typer.Option(metavar="CODEC", help="Offer only this: opus, G722, PCMU or PCMA.")
    ] = None,
    video_codec: Annotated[str | None, typer.Option(metavar="CODEC", help="Offer only this: VP8 or H264.")] = None,
    wait_for_ice_gathering: Annotated[
        bool, typer.Option("--wait-for-ice-gathering", help="Put all candidates into the offer: no PATCH follows.")
    ] = False,
    ice_servers: network.IceServers = None,
    ice_policy: network.IcePolicy = "all",
    udp_ports: network.UdpPorts = None,
    interface: network.Interface = None,
    sctp_chunk: network.SctpChunk = None,
    verbose: Verbose = 0,
) -> ExitCode:
    """Call a SmallWebRTC server as a browser does, with microphone and speaker, or with files.

    m mutes, t types a message, s shows statistics, r reconnects, q hangs up; ? shows all keys.

    Exit codes: 0 the call was what was wanted, 1 something expected did not happen, 2 a usage error,
    3 no call: no server, no connection, no device, 130 Ctrl-C.
    """
    log(context, verbose)
    from smallrtc_cli.commands.connect.options import ConnectOptions
    from smallrtc_cli.commands.connect.run import run
    from smallrtc_cli.commands.network import NetworkOptions

    return run(
        ConnectOptions(
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
                sctp_chunk=sctp_chunk,
            ),
            audio_codec=audio_codec,
            video_codec=video_codec,
            wait_for_ice_gathering=wait_for_ice_gathering,
            reconnect=reconnect,
            restart_after=restart_after,
            expect_audio=expect_audio,
            input_device=input_device,
            output_device=output_device,
            no_input=no_input,
            no_output=no_output,
            play_from=play_from,
            raw_rate=raw_rate,
            loop=loop,
            exit_after_play=exit_after_play,
            record_to=record_to,
            duration=duration,
            video_from=video_from,
            record_video=record_video,
            aec=aec,
            push_to_talk=push_to_talk,
            json_lines=json_lines,
            stats=stats,
            texts=tuple(text or ()),
            messages=tuple(message or ()),
            expects=tuple(expect or ()),
            expect_timeout=expect_timeout,
        )
    )

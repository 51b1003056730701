"""`smallrtc devices` as it is typed."""

from typing import Annotated

import typer

from smallrtc_cli.cli.app import Command, Verbose, app, examples, log
from smallrtc_cli.errors import ExitCode


@app.command(
    cls=Command,
    epilog=examples(
        ("what is there, and what is the default?", "smallrtc devices"),
        ("does my microphone hear me, and do I hear the tone?", "smallrtc devices --test"),
        (
            "the same with others, by index or by a part of the name",
            "smallrtc devices --test --input-device usb --output-device 3",
        ),
        ("for a script", "smallrtc devices --json > devices.json"),
    ),
)
def devices(
    context: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Play a tone, left and then right, and measure what the microphone hears.")
    ] = False,
    input_device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Test this microphone: its index, or a part of its name.")
    ] = None,
    output_device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Test this speaker: its index, or a part of its name.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1.0, max=60.0, metavar="S", help="How long to test.")] = 3.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    verbose: Verbose = 0,
) -> ExitCode:
    """List the sound devices, or test a microphone and a speaker.

    A microphone that is silent, too quiet, clipping or one-sided is named, and is exit code 1. Without PortAudio,
    or without any device, it is 3.
    """
    log(context, verbose)
    from smallrtc_cli.commands.devices import DevicesOptions, run

    return run(
        DevicesOptions(
            json=json,
            test=test,
            input_device=input_device,
            output_device=output_device,
            seconds=seconds,
        )
    )

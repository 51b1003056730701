"""`python -m benchmark`, by way of `scripts/bench`."""

import asyncio
import datetime as dt
import gc
import json
import logging
import os
import platform
import signal
import subprocess
import sys

from benchmark import bars, fastrtc, options, results, rounds, table
from benchmark.contestants import versions
from benchmark.packets import material


def main() -> int:
    """0 whatever the speed; 3 if FastRTC could not be installed or nothing was measured; 130 when interrupted."""
    chosen = options.parse()
    logging.disable(logging.ERROR)  # aiortc tells of each peer that goes
    if chosen.extra:
        _say("installing FastRTC, unless it is there ...")
        try:
            fastrtc.install()
        except subprocess.CalledProcessError as error:
            _say(
                f"error: FastRTC could not be installed\n\nhint: pip ended with {error.returncode}, and says above why"
            )
            return 3
    found = results.Results([each.name for each in chosen.servers], _about())
    interrupted = False
    try:
        asyncio.run(_measure(found, chosen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    _show(found, chosen)
    if interrupted:
        return 130
    return 0 if found.values else 3


async def _measure(found: results.Results, chosen: options.Options) -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    material()
    gc.freeze()  # what was imported need not be looked through between two packets
    await rounds.run(
        found, chosen.servers, rounds.plan(chosen.only, chosen.call_minutes), chosen.rounds, 60 * chosen.minutes, _say
    )


def _show(found: results.Results, chosen: options.Options) -> None:
    if chosen.plot:
        chosen.plot.write_text(bars.svg(found), "utf-8")
    if chosen.json:
        text = json.dumps(results.document(found), ensure_ascii=False, indent=1)
    else:
        text = table.markdown(found) if chosen.markdown else table.plain(found)
    sys.stdout.write(text + "\n")


def _about() -> dict[str, str]:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    load = f"{os.getloadavg()[0]:.1f} at the beginning"
    machine = {"cores": str(os.cpu_count()), "kernel": platform.release(), "load": load}
    return {"date": today} | machine | versions()


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

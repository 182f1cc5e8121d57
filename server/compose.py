"""`tandem serve`: the real clock, sockets, files and media worker under a `House`, until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import signal
from importlib.metadata import PackageNotFoundError, version

import uvloop

from base.clock import LoopClock
from base.entropy import SystemEntropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases
from base.work import run_in_thread
from directory.secrets import load_key
from pbx.mediaproxy.control import MediaControl, MediaPlan
from pbx.transport.sockets import SystemNetwork
from server.addresses import own_names
from server.banner import Facts, show
from server.doors import Doors
from server.house import Ground, House
from server.options import Claim, ServeOptions

_log = get_logger("server")


def serve(options: ServeOptions) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status. Raises Failure before the doors are open."""
    claim = Claim(options.data)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options))
    finally:
        claim.release()
    return 0


async def _serve(options: ServeOptions) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    metrics = Metrics()
    media = MediaControl(LoopClock(loop), metrics, _media_plan(options))
    house = House(
        _ground(options, loop, media, metrics), options.config, metrics, product_version(), domain=options.domain
    )
    doors = Doors(house, options)
    try:
        await media.start()
        await house.open()
        await doors.open(ending.set)
        show(_facts(options, house, doors))
        _quiet_collector()
        await ending.wait()
        _log.info("stopping")
    except OSError as error:
        raise Failure("unavailable", f"cannot start: {error.strerror or error}", private=str(error)) from error
    finally:
        await doors.close()
        await house.close()
        await media.close()


def _ground(options: ServeOptions, loop: asyncio.AbstractEventLoop, media: MediaControl, metrics: Metrics) -> Ground:
    entropy = SystemEntropy()
    return Ground(
        clock=LoopClock(loop),
        entropy=entropy,
        network=SystemNetwork(),
        databases=SqliteDatabases(options.data, metrics),
        media=media,
        run=run_in_thread,
        data=options.data,
        key=load_key(options.key_file, entropy),
        hosts=own_names(
            (*(listen.host for listen in options.config.sip.listen), *options.config.nat.public),
            options.config.sip.advertised,
        ),
        tls=True,
    )


def _media_plan(options: ServeOptions) -> MediaPlan:
    media = options.config.media
    low, high = media.ports
    return MediaPlan(
        address=media.address,
        ports=range(low, high + 1),
    )


def _quiet_collector() -> None:
    """What stands at the start is never walked again. What calls leave behind in circles comes free every few hundred
    of them; a full collection (100 ms with very many phones) waits until the old objects have grown by a quarter."""
    gc.collect()
    gc.freeze()
    gc.collect()  # from here on "a quarter" is of what is not frozen
    gc.set_threshold(5_000, 4, 3)


def _facts(options: ServeOptions, house: House, doors: Doors) -> Facts:
    return Facts(
        version=house.version,
        domain=house.directory.main_domain,
        sip=house.monitor.addresses,
        imap=doors.imap,
        provisioning=doors.provisioning,
        data=options.data,
        made=house.made,
        notes=[*house.stack.missing, *doors.notes],
    )


def product_version() -> str:
    """The installed version; `0` in a checkout that was never installed."""
    try:
        return version("tandem-pbx")
    except PackageNotFoundError:
        return "0"

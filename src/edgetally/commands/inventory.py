"""`edgetally inventory`: what is at each site, and what somebody counted there."""

from __future__ import annotations

import getpass
import json
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from edgetally.commands.records import record_as_dict, record_as_line, shown_time
from edgetally.config import load_config
from edgetally.counting.ledger import Ledger, LedgerError, OutboxBounds
from edgetally.counting.ledger.beside import opened_to_read
from edgetally.counting.ledger.folder import Folder, FolderInUseError
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.messages import ModelReference
from edgetally.messaging.topics import Topics
from edgetally.shortened import listed, shortened
from edgetally.stock import Recount, correct, site_meant, stock_levels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from edgetally.config import Config
    from edgetally.counting.ledger import Record, SeenStock, Stock
    from edgetally.stock import StockLevel

inventory = typer.Typer(
    name="inventory",
    help="Show the stock of each site, correct it, and tell who did.",
    no_args_is_help=True,
)
_COUNTS_ELSEWHERE = "the service that runs counts in memory alone, its log says why"
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration that the service runs.")
]
SiteOption = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it at run time on Python 3.10
    typer.Option(help="Name of the site. Default: the only one, or all."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@inventory.command()
def show(config: ConfigOption, site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Show the stock of each class: baseline + in - out, and what zones see of it.

    Example: edgetally inventory show --config edgetally.yaml
    """
    settings = load_config(config)
    with _reading(settings) as (ledger, note):
        stock, seen = ledger.stock(), ledger.seen()
    levels = stock_levels(_sites(settings), (), stock, seen.counts)
    if site is not None:
        _check_site(site, levels)
        levels = {site: levels[site]}
    if as_json:
        shown = {"seenAt": shown_time(seen.time), "note": note, "sites": _as_dict(levels)}
        typer.echo(json.dumps(shown, indent=2))
    else:
        _show(levels, seen)


@inventory.command("set")
def set_(
    config: ConfigOption,
    class_name: Annotated[str, typer.Option("--class", help="Name of the class.")],
    count: Annotated[int, typer.Option(help="Pieces that were counted.")],
    site: SiteOption = None,
    author: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Who counted. Default: your login's name."),
    ] = None,
    note: Annotated[str, typer.Option(help="Why, or how.")] = "",
) -> None:
    """Write down what was counted by hand: the stock is that from now on.

    The service may be running; it tells the correction and the totals within seconds.

    Example: edgetally inventory set --config edgetally.yaml --class "blue box" --count 40
    """
    from edgetally.bundle import ModelBundle  # noqa: PLC0415 - takes long to load

    settings = load_config(config)
    bundle = ModelBundle.load(settings.model.path)
    sites = _sites(settings)
    who = _login() if author is None else author
    recount = Recount(site_meant(site, sites), class_name, count, who, note)
    recount.check(sites, bundle.classes)
    topics = Topics(settings.publish.topic_prefix, settings.publish.thing)
    model = ModelReference.of(bundle)
    by_message = f"a running service also takes it by message, on {topics.inventory_set}"
    try:
        with _writing(settings) as ledger, ledger.transaction() as entry:
            made = correct(entry, recount, time.time(), topics, model)
    except FolderInUseError:
        raise EdgetallyError(
            f"nothing was corrected: the service that runs has no ledger in {settings.storage.path}"
            f", its log says why; mend that and try again; {by_message}"
        ) from None
    except LedgerError as error:
        raise EdgetallyError(f"nothing was corrected: {error}; {by_message}") from None
    typer.echo(f"{made.site}, {made.class_name}: {made.count}, was {made.before}")


@inventory.command()
def history(
    config: ConfigOption,
    site: SiteOption = None,
    class_name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--class", help="Name of the class. Default: all."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show crossings and what happened in zones, too.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many to show, the latest ones.")
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show who corrected the stock, when, from what to what; oldest first.

    Example: edgetally inventory history --config edgetally.yaml --all
    """
    settings = load_config(config)
    records: list[Record] = []
    with _reading(settings) as (ledger, _):
        stock = ledger.stock()
        with suppress(UnicodeEncodeError):  # a name that is no text, which nothing has
            if everything:
                records = ledger.history(site=site, class_name=class_name, limit=limit)
            else:
                records = [*ledger.corrections(site=site, class_name=class_name, limit=limit)]
    if not records:
        _check_names(site, class_name, settings, stock)
    if as_json:
        typer.echo(json.dumps([record_as_dict(record) for record in records], indent=2))
        return
    for record in records:
        typer.echo(record_as_line(record))
    if not records:
        typer.echo("nothing yet")


@contextmanager
def _reading(settings: Config) -> Iterator[tuple[Ledger, str | None]]:
    """Open the ledger to read it; beside it, what has to be known of what it tells, also printed.

    The folder need not be writable.
    """
    folder = Folder(settings.storage.path)
    with _told(folder):
        note = _COUNTS_ELSEWHERE if folder.is_left() else None
        if note is not None and not folder.file.exists():
            raise InputError(f"{folder.file}: there is no ledger yet; {note}")
        with closing(opened_to_read(folder)) as ledger:
            if note is not None:
                typer.echo(f"note: {note}; this is what the disk has", err=True)
            yield ledger, note


@contextmanager
def _writing(settings: Config) -> Iterator[Ledger]:
    """Open the ledger, beside a service that may be running; make one where there is none yet."""
    folder = Folder(settings.storage.path)
    outbox = settings.publish.outbox
    try:
        with _told(folder):
            is_new = not (folder.file.exists() and folder.file.stat().st_size)
            if is_new:
                folder.take()
            with closing(
                Ledger(
                    folder.path,
                    sites={camera.name: camera.site for camera in settings.cameras},
                    bounds=OutboxBounds(max_bytes=outbox.max_bytes, max_age=outbox.max_age),
                    beside=not is_new,
                )
            ) as ledger:
                yield ledger
    finally:
        folder.leave()


@contextmanager
def _told(folder: Folder) -> Iterator[None]:
    try:
        yield
    except LedgerError as error:
        if not error.damaged:
            raise
        raise LedgerError(f"{error}; start the service, it sets it aside", damaged=True) from None
    except OSError as error:
        raise InputError(
            f"storage folder {folder.path}: {error.strerror}; give a writable folder"
        ) from None


def _sites(settings: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys(camera.site for camera in settings.cameras))


def _check_site(site: str, known: Collection[str]) -> None:
    if site not in known:
        raise InputError(f"there is no site {shortened(site, 80)!r}; there are {listed(known)}")


def _check_names(
    site: str | None,
    class_name: str | None,
    settings: Config,
    stock: Mapping[str, Mapping[str, Stock]],
) -> None:
    """Tell a site or a class that is not there from one of which there is nothing to tell."""
    if site is not None:
        _check_site(site, dict.fromkeys((*_sites(settings), *stock)))
    counted = dict.fromkeys(name for classes in stock.values() for name in classes)
    if class_name is not None and class_name not in counted:
        from edgetally.bundle import ModelBundle  # noqa: PLC0415 - takes long to load

        known = dict.fromkeys((*ModelBundle.load(settings.model.path).classes, *counted))
        if class_name not in known:
            raise InputError(
                f"there is no class {shortened(class_name, 80)!r}; there are {listed(known)}"
            )


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, which containers have
        raise InputError("who you are can't be told; give --author") from None


def _show(levels: dict[str, dict[str, StockLevel]], seen: SeenStock) -> None:
    from edgetally.tuning.table import Column, show_table  # noqa: PLC0415 - loads OpenCV

    rows = [
        (
            site,
            name,
            *(str(number) for number in _numbers(level)),
            *("-" if number is None else str(number) for number in (level.seen, level.drift)),
        )
        for site, classes in levels.items()
        for name, level in classes.items()
    ]
    figures = ("baseline", "in", "out", "stock", "seen", "drift")
    columns = [Column("site"), Column("class"), *(Column(name, figures=True) for name in figures)]
    title = "Stock" if seen.time is None else f"Stock; seen at {shown_time(seen.time)}"
    if rows:
        show_table(title, columns, rows, sys.stdout)
    else:
        typer.echo("nothing was counted yet")


def _numbers(level: StockLevel) -> tuple[int, int, int, int]:
    stock = level.stock
    return stock.baseline, stock.in_, stock.out, stock.count


def _as_dict(levels: dict[str, dict[str, StockLevel]]) -> dict[str, Any]:
    keys = ("baseline", "in", "out", "stock", "seen", "drift")
    return {
        site: {
            name: dict(zip(keys, (*_numbers(level), level.seen, level.drift), strict=True))
            for name, level in classes.items()
        }
        for site, classes in levels.items()
    }

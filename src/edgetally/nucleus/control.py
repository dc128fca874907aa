"""Lines that tell a running nucleus what to do, such as `freeze 5`."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.nucleus import Nucleus


@dataclass(frozen=True)
class Command:
    """What a word does. words: of its arguments, in its help; those in [] may be left out."""

    words: str
    help: str
    do: Callable[[Nucleus, list[str]], object]

    @property
    def fewest(self) -> int:
        """How many arguments it needs."""
        return sum(not word.startswith("[") for word in self.words.split())

    @property
    def most(self) -> int:
        """How many arguments it takes."""
        return len(self.words.split())


def obey(nucleus: Nucleus, line: str) -> str:
    """Do what a line says; return what to tell. InputError where it says nothing known."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InputError(f"{line.strip()}: {error}") from None
    if not words:
        return ""
    name, *arguments = words
    if name == "help":
        return help_text()
    command = COMMANDS.get(name)
    if command is None:
        raise InputError(f"no command {name}; help tells which there are")
    if not command.fewest <= len(arguments) <= command.most:
        raise InputError(f"it is: {name} {command.words}".rstrip())
    told = command.do(nucleus, arguments)
    return told if isinstance(told, str) else f"done: {' '.join(words)}"


def help_text() -> str:
    """Return a line for each command."""
    return "\n".join(
        f"{f'{name} {command.words}':<32} {command.help}" for name, command in COMMANDS.items()
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise InputError(f"{text} are no seconds between 0 and 86400")
    return seconds


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise InputError(f"{text} is no number")
    return int(text)


def _configure(nucleus: Nucleus, words: list[str]) -> None:
    try:
        merge = json.loads(words[1])
    except (ValueError, RecursionError):
        merge = None
    if not isinstance(merge, dict):
        raise InputError("what to merge has to be a JSON object, in single quotes")
    nucleus.configure(words[0], merge)


def _deploy(nucleus: Nucleus, words: list[str]) -> None:
    nucleus.deploy([Path(words[0])], artifacts=Path(words[1]) if len(words) > 1 else None)


def _show(nucleus: Nucleus, words: list[str]) -> str:
    return json.dumps(nucleus.configuration(words[0]), indent=2)


def _freeze(nucleus: Nucleus, words: list[str]) -> None:
    nucleus.freeze(_seconds(words[0]) if words else None)


def _secret(nucleus: Nucleus, words: list[str]) -> str:
    if not nucleus.kind.has_optional:
        raise InputError(f"{nucleus.kind.name} has no secrets; start it with --as java")
    nucleus.give_secret(*words)
    return f"done: secret {words[0]}"  # and not what it is


def _names(nucleus: Nucleus, words: list[str]) -> None:
    if words[0] not in ("own", "all", "none"):
        raise InputError("it is: names own, names all or names none")
    nucleus.accept_names(words[0])  # type: ignore[arg-type]


def _plain(name: str) -> Callable[[Nucleus, list[str]], Any]:
    return lambda nucleus, words: getattr(nucleus, name)(*words)


COMMANDS = {
    "kill": Command("", "cut every connection", _plain("kill_connections")),
    "restart": Command(
        "[SECONDS]",
        "let the IPC daemon die, and come back; tokens are dead then",
        lambda nucleus, words: nucleus.restart(_seconds(words[0]) if words else 0.0),
    ),
    "expire": Command("", "let all tokens be dead; connections stay", _plain("expire_tokens")),
    "names": Command("own|all|none", "who may connect by name in place of a token", _names),
    "deafen": Command("", "let subscriptions be dead without a word", _plain("deafen")),
    "freeze": Command("[SECONDS]", "answer nothing, for so long or until thaw", _freeze),
    "thaw": Command("", "go on", _plain("thaw")),
    "deny": Command("[OPERATION] [TOPIC]", "refuse it; * stands for any", _plain("deny")),
    "allow": Command("[OPERATION] [TOPIC]", "take back the same deny", _plain("allow")),
    "cloud-away": Command("", "let the broker be out of reach", _plain("lose_cloud")),
    "cloud-frozen": Command("", "let it acknowledge nothing", _plain("freeze_cloud")),
    "cloud-loses": Command(
        "NUMBER",
        "take so many publishes to IoT Core, and lose them",
        lambda nucleus, words: nucleus.lose_cloud_publishes(_number(words[0])),
    ),
    "cloud-back": Command("", "let the broker be well again", _plain("find_cloud")),
    "publish": Command(
        "TOPIC TEXT",
        "publish locally",
        lambda nucleus, words: nucleus.publish_local(words[0], words[1].encode()),
    ),
    "from-cloud": Command(
        "TOPIC TEXT",
        "let a message come from IoT Core",
        lambda nucleus, words: nucleus.publish_from_cloud(words[0], words[1].encode()),
    ),
    "configure": Command("COMPONENT JSON", "merge into its configuration", _configure),
    "configuration": Command("COMPONENT", "print its configuration", _show),
    "secret": Command("ARN TEXT", "let GetSecretValue find a secret, by its ARN or name", _secret),
    "deploy": Command("RECIPE [ARTIFACTS]", "install and run another version", _deploy),
    "stop": Command("COMPONENT", "stop it", _plain("stop_component")),
    "crash": Command("COMPONENT", "kill its processes", _plain("kill_component")),
}

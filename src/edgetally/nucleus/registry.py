"""Who is a component here, and by which token."""

from __future__ import annotations

import base64
import os
import secrets
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetally.nucleus.recipe import Recipe

Names = Literal["own", "all", "none"]  # a component's own processes, anyone, or nobody


class Registry:
    """Recipes and tokens by a component's name.

    names: who may connect by a component's name in place of its token.
    """

    def __init__(self) -> None:
        self.recipes: dict[str, Recipe] = {}
        self.names: Names = "own"
        self._tokens: dict[str, str] = {}
        self._sessions: dict[str, int] = {}

    def add(self, recipe: Recipe) -> None:
        """Know a component."""
        self.recipes[recipe.name] = recipe

    def token_for(self, component: str) -> str:
        """Return the token by which a component connects now."""
        if component not in self._tokens:
            self._tokens[component] = new_token()
        return self._tokens[component]

    def renew(self, component: str) -> str:
        """Return a new token for a component; the one before is dead."""
        self._tokens.pop(component, None)
        return self.token_for(component)

    def forget_tokens(self) -> None:
        """Let every token be dead, as they are on lite once the IPC daemon has restarted."""
        self._tokens.clear()

    def owner_of(self, token: str) -> str:
        """Return whose token it is; nothing where nobody's, or nobody's any more."""
        for component, known in self._tokens.items():
            if secrets.compare_digest(known.encode(), token.encode()):
                return component
        return ""

    def started(self, component: str, session: int) -> None:
        """Know the session in which a component's processes run."""
        self._sessions[component] = session

    def ended(self, component: str) -> None:
        """Know that they run no more."""
        self._sessions.pop(component, None)

    def is_process_of(self, component: str, pid: int) -> bool:
        """Whether a process is a component's own."""
        if component not in self.recipes or self.names != "own":
            return self.names == "all" and component in self.recipes
        try:
            return os.getsid(pid) == self._sessions.get(component)
        except OSError:  # it is gone
            return False

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Return components so that each comes after those that it depends on."""
        order: list[str] = []
        for name in names:
            self._place(name, order, ())
        return order

    def _place(self, name: str, order: list[str], above: tuple[str, ...]) -> None:
        if name in order or name in above or name not in self.recipes:
            return
        for dependency in self.recipes[name].dependencies:
            self._place(dependency, order, (*above, name))
        order.append(name)


def new_token() -> str:
    """Return a token such as lite makes: 12 bytes, in base64."""
    return base64.b64encode(os.urandom(12)).decode()

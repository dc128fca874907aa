"""The errors edgetally raises: one family, each a line for the person who must act."""


class EdgetallyError(Exception):
    """Something failed. Its text says what, where and what to do; the CLI exits 1."""

    exit_code = 1


class InputError(EdgetallyError):
    """What the user gave is wrong (a file, a setting, an argument); the CLI exits 2."""

    exit_code = 2

"""Giving memory back: what a process that runs for weeks must do, and glibc by itself does not."""

from __future__ import annotations

import ctypes

# malloc.h of glibc; other C libraries know neither the function nor the numbers.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def return_freed_memory() -> None:
    """Let freed frames go back to the system at once, wherever the C library is glibc.

    By default glibc raises its own threshold with each large block that is freed, up to 32 MB,
    and then keeps frames of every size in each thread's arena. Settings of the environment
    (MALLOC_MMAP_THRESHOLD_) would do the same, but would have to be there before the start.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 64 << 10)
        mallopt(_TRIM_THRESHOLD, 128 << 10)

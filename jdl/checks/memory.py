"""Memory: what this host has, and whether something fits."""

from __future__ import annotations

from jdl.checks.sentences import InputError

__all__ = ["available_memory", "fits"]


def available_memory() -> int | None:
    """The main memory that a new run can take on this host, in bytes, or None if the system does not say."""
    import psutil

    try:
        return psutil.virtual_memory().available
    except (OSError, RuntimeError, NotImplementedError):
        return None


def fits(needed_bytes: int, what: str, available_bytes: int | None = None) -> None:
    """Check that something fits the memory. All estimates of jdl are checked here.

    Args:
      needed_bytes: the estimate.
      what: what needs them, in words of the caller.
      available_bytes: the budget; by default what `available_memory` says.

    Raises:
      InputError: if it does not fit, with both numbers.
    """
    available = available_memory() if available_bytes is None else available_bytes
    if available is not None and needed_bytes > available:
        gib = 1024**3
        raise InputError(
            f"got {what}, which needs about {needed_bytes / gib:,.1f} GiB; {available / gib:,.1f} GiB are available; "
            "use fewer nodes, a smaller model, or a larger machine"
        )

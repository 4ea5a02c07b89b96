"""A mark in place of a value that is chosen later, and the error if the value is needed before that."""

from __future__ import annotations

from typing import Any, NoReturn

from jdl.checks.sentences import InputError

__all__ = ["Mark", "settled"]


class _NoAttribute(InputError, AttributeError):
    """An attribute of a mark was asked for. It is an `AttributeError`, too, so that `hasattr` of a mark is False."""


class Mark:
    """What stands in place of a value that is chosen later: `jdl.over`.

    All operations that need the value raise an `InputError` which says where marks may stand.
    """

    def refuse(self, error: type[InputError] = InputError) -> NoReturn:
        """Say that the value is needed now, and how to write this.

        Raises:
          InputError: always.
        """
        values = ", ".join(f"f({text})" for text in self.shown())
        raise error(
            f"got {self!r} where its value is needed at once; jdl.sweep alone chooses the values of marks, in its own "
            f"arguments: write over({values}) in place of f({self!r}), or give jdl.sweep functools.partial(f, {self!r})"
        )

    def shown(self) -> list[str]:
        """The values as text."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("values", "labels", "name"):  # what Python, pickle and notebooks ask for
            raise AttributeError(name)
        self.refuse(_NoAttribute)


def _refuse(self: Mark, *_: Any, **options: Any) -> NoReturn:
    self.refuse()


_NEEDS_VALUE = (
    "bool int float complex index round trunc floor ceil len iter next contains getitem array jax_array "
    "lt le gt ge neg pos abs invert add radd sub rsub mul rmul matmul rmatmul truediv rtruediv floordiv rfloordiv "
    "mod rmod divmod rdivmod pow rpow and rand or ror xor rxor lshift rlshift rshift rrshift"
)
for _name in _NEEDS_VALUE.split():
    setattr(Mark, f"__{_name}__", _refuse)


def settled(value: Any) -> Any:
    """Return `value`, unless it is a mark.

    Raises:
      InputError: if it is a mark.

    >>> settled(0.1)
    0.1
    """
    if isinstance(value, Mark):
        value.refuse()
    return value

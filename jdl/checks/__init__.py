"""Checks of input, made on the host, once, at the public boundary."""

from jdl.checks.bounds import bounded, fields, one_number
from jdl.checks.memory import available_memory, fits
from jdl.checks.paths import path
from jdl.checks.renamed import renamed, renamed_arguments
from jdl.checks.sentences import InputError, Note, known, nearest, note, require, whole

__all__ = [
    "InputError",
    "Note",
    "available_memory",
    "bounded",
    "fields",
    "fits",
    "known",
    "nearest",
    "note",
    "one_number",
    "path",
    "renamed",
    "renamed_arguments",
    "require",
    "whole",
]

# Errors are shown by the name under which users import them.
InputError.__module__ = Note.__module__ = __name__

"""Checks of input, made on the host, once, at the public boundary."""

from jdl.checks.bounds import bounded, fields, one_number, whole
from jdl.checks.fields_named import name_fields
from jdl.checks.mark import Mark, settled
from jdl.checks.memory import available_memory, fits
from jdl.checks.paths import path
from jdl.checks.plain import plain_pickle
from jdl.checks.renamed import renamed, renamed_arguments
from jdl.checks.sentences import InputError, Note, known, nearest, note, require

__all__ = [
    "InputError",
    "Mark",
    "Note",
    "available_memory",
    "bounded",
    "fields",
    "fits",
    "known",
    "name_fields",
    "nearest",
    "note",
    "one_number",
    "path",
    "plain_pickle",
    "renamed",
    "renamed_arguments",
    "require",
    "settled",
    "whole",
]

# Errors are shown by the name under which users import them.
InputError.__module__ = Note.__module__ = __name__

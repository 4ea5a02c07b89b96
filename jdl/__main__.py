"""`python -m jdl` is `jdl`."""

from jdl.command.cli import main

__all__ = []

if __name__ == "__main__":
    main()

"""`python -m jdl` is `jdl`."""

from jdl.command.start import main

__all__ = []

if __name__ == "__main__":
    main()

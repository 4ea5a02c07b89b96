"""`python -m jdl` is `jdl`."""

from jdl.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()

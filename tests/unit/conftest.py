"""What several files of unit tests share."""

import pytest

from jdl.command import cli


@pytest.fixture
def call_and_draw(capsys, tmp_path, monkeypatch):
    """Run a command in an empty directory: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in argv])
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call

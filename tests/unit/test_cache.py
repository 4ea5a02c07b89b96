"""The compile cache: where it lies, and that a run goes on where it can lie nowhere."""

import io
import pathlib

import jax
import pytest

from jdl.runs import cache


@pytest.fixture
def unset(monkeypatch):
    """JAX without a directory, as in a new process; what it is given in a test is taken back."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(names[0], None)
    monkeypatch.delenv("JDL_COMPILE_CACHE", raising=False)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_it_lies_where_it_is_told_or_in_the_users_cache(unset, monkeypatch, tmp_path):
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    for place, expected in (("", tmp_path / "jdl" / "xla"), (str(tmp_path / "own"), tmp_path / "own")):
        monkeypatch.setenv("JDL_COMPILE_CACHE", place)
        jax.config.update("jax_compilation_cache_dir", None)
        cache.use_compile_cache()
        found = pathlib.Path(jax.config.jax_compilation_cache_dir)
        assert found.parent == expected and found.is_dir() and found.name.startswith(f"jax-{jax.__version__}-")
    monkeypatch.setenv("JDL_COMPILE_CACHE", "off")
    cache.use_compile_cache()
    assert jax.config.jax_compilation_cache_dir == str(found)  # what JAX was given is left alone


@pytest.mark.parametrize(
    ("file", "same"),
    [("flags\t: avx avx512f\n", False), ("Features : neon sve\n", False), ("x : y\nflags\t\t: avx2 avx\n", True)],
)
def test_machines_of_other_instructions_have_folders_of_their_own(monkeypatch, file, same):
    read = lambda text: monkeypatch.setattr("builtins.open", lambda *_: io.StringIO(text))
    read("flags\t\t: avx avx2\n")
    one = cache._processor()
    read(file)
    assert (cache._processor() == one) is same


def test_off_is_none(unset, monkeypatch):
    monkeypatch.setenv("JDL_COMPILE_CACHE", "off")
    cache.use_compile_cache()
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("error", [RuntimeError("could not determine the home directory"), PermissionError(13, "no")])
def test_without_a_home_or_the_right_to_write_there_is_none(unset, monkeypatch, error):
    def homeless(_name):
        raise error

    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", homeless)
    cache.use_compile_cache()
    assert jax.config.jax_compilation_cache_dir is None

"""The compile cache: where it lies, and that a run goes on where it can lie nowhere."""

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
        assert jax.config.jax_compilation_cache_dir == str(expected) and expected.is_dir()
    monkeypatch.setenv("JDL_COMPILE_CACHE", "off")
    cache.use_compile_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")  # what JAX was given is left alone


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

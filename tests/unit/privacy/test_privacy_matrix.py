"""The picture of what nodes learn of each other: its numbers are those of the matrix."""

import numpy as np
import pytest

import jdl
from jdl import privacy, topology
from jdl.checks import InputError


def test_the_map_shows_the_matrix(tmp_path):
    mu = privacy.pairwise_mu(topology.ring(5).weights.toarray(), steps=1, noise=0.5)
    figure = jdl.privacy_matrix(mu, tmp_path / "mu.png")
    ax = figure.axes[0]
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown.mask, ~np.isfinite(mu))
    np.testing.assert_allclose(shown.compressed(), mu[np.isfinite(mu)])
    texts = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
    assert texts[0, 1] == "2" and texts[0, 2] == "0" and (0, 0) not in texts and len(texts) == 20
    assert (tmp_path / "mu.png").stat().st_size > 1000
    with pytest.raises(InputError, match="need \\[n, n\\]"):
        jdl.privacy_matrix(mu[0])

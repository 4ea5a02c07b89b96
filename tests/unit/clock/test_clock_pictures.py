"""Pictures along simulated time, energy and bits."""

import numpy as np
import pytest

from jdl import checks
from jdl.show import plots
from jdl.show.compare import compare


def columns(seeds=()):
    """Evaluations of a run of 16 nodes, whose seconds differ by seed."""
    t, factor = np.arange(4.0), np.ones((1, *seeds)) * (1 + 0.1 * np.arange(*seeds or (1,)))
    several = {"mean_loss": 2 - 0.1 * t, "mean_model_loss": 2 - 0.2 * t, "simulated_seconds": 3 * t, "joules": 50 * t}
    several |= {"consensus_distance": 0.1 + t, "bits_sent": 8e6 * 16 * t, "bits_received": 9e6 * t}
    wide = {name: (values[:, None] * factor if seeds else values) for name, values in several.items()}
    return {"round": 10 * t.astype(int), **wide}


def test_learning_curves_lie_along_any_column():
    expected = {"simulated_seconds": ("simulated time, s", 9.0), "joules": ("energy of all nodes, J", 150.0)}
    expected |= {"bits_received": ("received by all nodes, bits", 27e6), "megabytes": ("sent, MB a node", 3.0)}
    for x, (title, last) in expected.items():
        left, right = plots.curves({"run": columns()}, x=x, nodes=16).axes
        assert (left.get_xlabel(), right.get_xlabel(), left.get_xlim()) == (title, title, (0.0, last))
        np.testing.assert_allclose(left.lines[0].get_xdata(), np.linspace(0, last, 4))
        (axes,) = compare({"run": columns(), "seeds": columns((3,))}, x=x, nodes=16).axes
        assert axes.get_xlabel() == title
        np.testing.assert_allclose(axes.lines[1].get_xdata(), 1.1 * np.linspace(0, last, 4))  # the mean of three seeds
    with pytest.raises(checks.InputError, match="got column 'second', which 'run' does not have; there are bits_rec"):
        plots.curves({"run": columns()}, x="second")

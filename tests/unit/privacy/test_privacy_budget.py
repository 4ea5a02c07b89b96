"""Budgets against closed forms, a sum over whole orders and an integral; calibration is the inverse of accounting."""

import builtins
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import jdl
from jdl import privacy
from jdl.checks import InputError

pytest.importorskip("dp_accounting")


def by_sum(z, q, order):
    """The Renyi divergence of a whole order: the binomial sum of Mironov, Talwar, Zhang."""
    terms = [
        math.comb(order, k) * (1 - q) ** (order - k) * q**k * math.exp(k * (k - 1) / (2 * z * z))
        for k in range(order + 1)
    ]
    return math.log(math.fsum(terms)) / (order - 1)


def by_integral(z, q, order):
    """The same by the definition: the integral of the mixture's likelihood ratio under the null."""
    ratio = lambda x: (1 - q) + q * np.exp((2 * x - 1) / (2 * z * z))
    inside = lambda x: norm.pdf(x, 0, z) * ratio(x) ** order
    return math.log(quad(inside, -12 * z, 12 * z + order, epsabs=0, epsrel=1e-12, limit=400)[0]) / (order - 1)


def test_poisson_batches_are_the_sum_and_the_integral():
    orders = [2, 3, 5, 8]
    for z, q in ((1.0, 0.1), (0.7, 0.4), (2.0, 0.01)):
        found = privacy.renyi(z, orders, q, steps=7)
        np.testing.assert_allclose(found, [7 * by_sum(z, q, order) for order in orders], rtol=1e-9)
        np.testing.assert_allclose(found[:2], [7 * by_integral(z, q, order) for order in orders[:2]], rtol=1e-8)


def test_without_sampling_all_are_gaussian_mechanisms():
    orders = np.array([1.5, 2, 6])
    np.testing.assert_allclose(privacy.renyi(1.3, orders, 1.0, 4), 4 * orders / (2 * 1.3**2))
    # In place of another example moves a sum twice as far as one that is left out.
    np.testing.assert_allclose(privacy.renyi(1.3, orders, 1.0, 4, sampling="fixed"), 4 * 4 * orders / (2 * 1.3**2))
    # 25 steps of a tenth of the data are three passes, and the last is not whole.
    np.testing.assert_allclose(privacy.renyi(1.3, orders, 0.1, 25, sampling="cyclic"), 3 * orders / (2 * 1.3**2))
    np.testing.assert_allclose(privacy.renyi(1.3, orders, 0.1, 30, sampling="cyclic"), 3 * orders / (2 * 1.3**2))
    # A leaf of a tree over 7 steps lies in 3 of its nodes.
    np.testing.assert_allclose(privacy.renyi(1.3, orders, 1.0, 7, sampling="tree"), 3 * orders / (2 * 1.3**2))


def test_epsilon_is_the_minimum_over_orders_and_no_less_than_the_exact_one():
    z, delta, steps = 2.0, 1e-5, 4
    orders = np.linspace(1.01, 60, 20_000)
    renyi = steps * orders / (2 * z * z)
    smallest = np.min(renyi + np.log((orders - 1) / orders) - (np.log(delta) + np.log(orders)) / (orders - 1))
    found = privacy.epsilon(z, delta, steps=steps)
    assert smallest * (1 - 1e-6) <= found <= 1.01 * smallest
    exact = privacy.epsilon_of_mu(np.sqrt(steps) / z, delta)
    assert exact <= found
    tighter = privacy.epsilon(z, delta, steps=steps, accountant="pld")
    assert exact * (1 - 1e-6) <= tighter <= exact + 2e-3
    assert privacy.epsilon(0.0, delta) == math.inf


def test_gaussian_privacy_is_its_closed_form():
    for mu, epsilon in ((0.5, 0.3), (1.0, 1.0), (3.0, 8.0)):
        delta = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        np.testing.assert_allclose(privacy.delta_of_mu(mu, epsilon), delta, rtol=1e-9)
        np.testing.assert_allclose(privacy.epsilon_of_mu(mu, delta), epsilon, rtol=1e-8)
    assert privacy.epsilon_of_mu(np.array([0.0, np.inf]), 1e-5).tolist() == [0, np.inf]
    assert privacy.delta_of_mu(0.0, 0.0) == 0


@pytest.mark.parametrize("sampling", ["poisson", pytest.param("fixed", marks=pytest.mark.slow), "cyclic"])
def test_the_noise_of_a_budget_keeps_it_and_less_does_not(sampling):
    how = {"sampling_rate": 0.2, "steps": 20, "sampling": sampling}
    z = privacy.noise_multiplier(4.0, 1e-5, **how)
    assert privacy.epsilon(z, 1e-5, **how) <= 4.0 < privacy.epsilon(0.998 * z, 1e-5, **how)


def test_sampling_without_replacement_is_another_price():
    """Priced as Poisson batches, it would look cheaper than what its bound holds."""
    poisson, fixed = (privacy.epsilon(2.0, 1e-5, 0.1, 50, sampling=how) for how in ("poisson", "fixed"))
    assert fixed > 1.5 * poisson


def test_numbers_out_of_range_and_a_missing_library_are_refused(monkeypatch):
    for wrong in ({"delta": 0}, {"delta": 1e-5, "sampling_rate": 2}, {"delta": 1e-5, "steps": 0}):
        with pytest.raises(InputError):
            privacy.epsilon(1.0, **wrong)
    with pytest.raises(InputError, match="need 'rdp'"):
        privacy.epsilon(1.0, 1e-5, sampling="fixed", accountant="pld")
    with pytest.raises(InputError):
        privacy.noise_multiplier(0.0, 1e-5)
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("dp_accounting"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install dp-accounting"):
        jdl.privacy.epsilon(1.0, 1e-5)

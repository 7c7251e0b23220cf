"""On noise a study's verdicts are false no more often than they may be, and the former rule's more often."""

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TRIALS = 150


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("false_verdicts")


@pytest.mark.parametrize("kind", ["independent", "correlated"])
def test_verdicts_on_noise_keep_the_nominal_rate(script, kind: str) -> None:
    rates = script.rates(script.Cell(10, kind), TRIALS)
    allowed = 0.025 + 2.6 * (0.025 * 0.975 / TRIALS) ** 0.5  # one-sided, with 99% of the simulation's error
    for verdict in ("chosen worse", "chosen better", "prior better"):
        assert rates.get(verdict, 0.0) <= allowed, (verdict, rates)
    assert rates.get("any false", 0.0) <= 0.05 + 2.6 * (0.05 * 0.95 / TRIALS) ** 0.5
    assert rates["with minimum cannot tell"] == 1
    assert rates["former worse"] > allowed, "the former rule gives far too many, so that this test can fail"


def test_true_differences_are_found(script) -> None:
    power = [script.rates(script.Cell(n, "correlated", effect=1.0), 40).get("chosen better", 0.0) for n in (10, 100)]
    assert power[1] > 0.75 > 0.5 > power[0]

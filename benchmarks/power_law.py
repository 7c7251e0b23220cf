"""How often the interval of `emocap curve` contains the true gain of twice the training pairs.

    python benchmarks/power_law.py [--trials 200]

Scores at five sizes follow a power law, rise by the logarithm of the number of pairs, or do not rise. Each is off by
what one training run adds (`deviation`) and by the sampling of the test images, which all sizes mostly share and the
draws repeat.
"""

import argparse
from collections.abc import Callable

import numpy as np

from emocap.evaluation.power_law import extrapolate

LARGEST, N_SIZES, N_DRAWS = 1200, 5, 400
OF_IMAGES = 0.006  # standard error of a score over the test images; a quarter of it differs between sizes
DEVIATIONS = (0.002, 0.008)
TRUTHS: dict[str, Callable[[float], float]] = {
    "power law": lambda n: 0.4 - n**-0.35,
    "logarithm": lambda n: 0.1 + 0.02 * np.log2(n),
    "no rise": lambda n: 0.3,
}


def row(truth: Callable[[float], float], deviation: float, trials: int) -> str:
    """Trials with a law, and of these the shares whose interval contains the true gain, and is above 0."""
    generator = np.random.default_rng(0)
    sizes = np.geomspace(LARGEST / 2 ** (N_SIZES - 1), LARGEST, N_SIZES).round()
    gain = truth(2 * LARGEST) - truth(LARGEST)
    fitted, contains, positive = 0, 0, 0

    def off(n: int) -> np.ndarray:
        return generator.normal(0, OF_IMAGES, (n, 1)) + generator.normal(0, OF_IMAGES / 4, (n, N_SIZES))

    for _ in range(trials):
        scores = np.array([truth(n) for n in sizes]) + generator.normal(0, deviation, N_SIZES) + off(1)[0]
        found = extrapolate(sizes, scores, scores + off(N_DRAWS))
        if found.law is None or found.gain_interval is None:
            continue
        low, high = found.gain_interval
        fitted, contains, positive = fitted + 1, contains + (low <= gain <= high), positive + (low > 0)
    shares = [f"{count / max(fitted, 1):.0%}" for count in (contains, positive)]
    return f"{fitted} of {trials} | {' | '.join(shares)}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    print("| scores | deviation | fitted | contains the true gain | above 0 |\n| --- | --- | --- | --- | --- |")
    for name, truth in TRUTHS.items():
        for deviation in DEVIATIONS:
            print(f"| {name} | {deviation} | {row(truth, deviation, trials)} |", flush=True)


if __name__ == "__main__":
    main()

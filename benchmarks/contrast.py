"""Captions at odds with their photographs: does the caption's emotion come out, and does a fitting photograph raise it?

python benchmarks/contrast.py PHOTOGRAPHS [--model MODEL]

PHOTOGRAPHS is the folder of OASIS' images. The 60 captions in `contrast.json` were written for this; a photograph is
meant by its theme alone, and no model was trained on either. Intervals are Wilson's, at 95%.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from emocap import EmotionPredictor

CASES = Path(__file__).with_name("contrast.json")
TOP = 3


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927).

    >>> [round(end, 2) for end in wilson(51, 60)]
    [0.74, 0.92]
    """
    z, share = 1.959964, n_hits / n
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))


def main() -> None:
    """Print both shares, each with its interval, and the cases that fail."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--model", help="model folder or run; left out, the included model")
    arguments = parser.parse_args()
    predictor = EmotionPredictor.from_pretrained(arguments.model) if arguments.model else EmotionPredictor.included()
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    in_top, raised = [], []
    for case in cases:
        at_odds, fitting, alone = (
            predictor.predict(image, case["caption"])
            for image in (arguments.photographs / case["image"], arguments.photographs / case["fitting"], None)
        )
        shares = [{one.emotion: one.probability for one in made}[case["emotion"]] for made in (at_odds, fitting, alone)]
        in_top.append(case["emotion"] in [one.emotion for one in at_odds[:TOP]])
        raised.append(shares[1] > shares[0])
        if not (in_top[-1] and raised[-1]):
            values = ", ".join(f"{share:.3f}" for share in shares)
            faults = [fault for fault, hit in (("not in top", in_top[-1]), ("not raised", raised[-1])) if not hit]
            print(f"{case['emotion']:8} {values}  {' and '.join(faults)}: {case['image']}, {case['caption']}")
    for name, hits in (("emotion in the top 3 with a photograph at odds", in_top), ("raised by a fitting one", raised)):
        low, high = wilson(sum(hits), len(hits))
        print(f"{name}: {sum(hits)} of {len(hits)}, {np.mean(hits):.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()

"""A sheet of captions with hidden emotions to print and hand to readers, and its key as a separate file.

A reader marks for each caption the emotion that it was written for, among a few. The share of right marks says whether
people perceive what the judge does; what chance reaches is one over the number of choices.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence

import numpy as np

from emocap.html_templates import templates_of

N_CAPTIONS = 40
N_CHOICES = 5
KEY_COLUMNS = ("number", "emotion", "image", "caption")


def reader_sheet(
    captions: Sequence[str], emotions: Sequence[int], images: Sequence[str], labels: Sequence[str], seed: int
) -> tuple[str, str]:
    """The sheet as HTML, and its key as CSV.

    Args:
        captions: N captions; at most `N_CAPTIONS` distinct ones are drawn.
        emotions: N indices of the emotions that they were asked for.
        images: N keys, for the key alone.
        labels: E emotions, from which `N_CHOICES` are offered for each caption.
        seed: of the drawn captions and choices.
    """
    rng = np.random.default_rng([seed, 10])
    first = {captions[row]: row for row in reversed(range(len(captions))) if captions[row]}
    distinct = np.array(sorted(first.values()), dtype=np.int64)
    # Emotions alike often, since a reader who knows the frequent ones would guess better than by chance.
    number_of, drawn = Counter[int](), []
    for row in rng.permutation(distinct).tolist():
        drawn.append((number_of[emotions[row]], row))
        number_of[emotions[row]] += 1
    rows = rng.permutation([row for _, row in sorted(drawn, key=lambda item: item[0])[:N_CAPTIONS]]).tolist()
    items, key = [], io.StringIO()
    writer = csv.writer(key, lineterminator="\n")
    writer.writerow(KEY_COLUMNS)
    for number, row in enumerate(rows, 1):
        others = [index for index in range(len(labels)) if index != emotions[row]]
        chosen = rng.permutation(others)[: N_CHOICES - 1].tolist()
        offered = sorted(labels[index] for index in [emotions[row], *chosen])
        items.append({"number": number, "caption": captions[row], "choices": offered})
        writer.writerow([number, labels[emotions[row]], images[row], captions[row]])
    n_choices = min(N_CHOICES, len(labels))
    page = templates_of("emocap").get_template("reader_sheet.html").render(items=items, n_choices=n_choices)
    return page, key.getvalue()

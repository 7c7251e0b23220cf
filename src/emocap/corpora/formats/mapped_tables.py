"""Published tables that the reader of tables reads once their columns are named.

Sources: SentiCap (Mathews, Xie and He 2016) and FlickrStyle10K (Gan et al. 2017), flattened; GoodNewsEveryone (Bostan,
Kim and Klinger 2020) and SemEval-2007 task 14 (Strapparava and Mihalcea 2007) as CSV; news as `text,kind,source`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

SEMEVAL_EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
SEMEVAL_THRESHOLD = 50.0  # the task's own, of scores from 0 to 100 ("coarse-grained evaluation")

Columns = Mapping[str, str | list[str]]


def table_of(columns: Columns, threshold: float | None = None) -> Callable[..., Pairs]:
    """A reader of tables with these columns; columns and a threshold that a user names count before them.

    Args:
        columns: role to column, as in `ReadOptions`.
        threshold: the least score that counts as named, where the columns of emotions have scores.
    """

    def read(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
        options = options or ReadOptions()
        if threshold is not None and options.label_threshold == ReadOptions.label_threshold:
            options = replace(options, label_threshold=threshold)
        pairs = read_table(path, images, replace(options, columns={**columns, **options.columns}))
        if threshold is not None and pairs.without_emotion == len(pairs):
            raise EmocapError(
                f"{path}: no score reaches {options.label_threshold:g}; if this is another table with the same "
                "columns, give --format table and --columns"
            )
        return pairs

    return read


read_news_texts = table_of({"caption": "text"})
read_senticap_csv = table_of({"emotions": "sentiment"})
read_flickrstyle_csv = table_of({"emotions": "style"})
read_goodnewseveryone = table_of({"caption": "headline", "emotions": "reader_emotion"})
read_semeval2007 = table_of(
    {"pair_id": "id", "caption": "headline", "emotions": list(SEMEVAL_EMOTIONS)}, SEMEVAL_THRESHOLD
)

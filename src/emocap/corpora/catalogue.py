"""Where published corpora come from: what their hosts hand out to everyone, and what to do by hand for the rest.

docs/DATA.md says of each what it is, who made it, and under which licence.
"""

from dataclasses import dataclass

from emocap.corpora.formats import emoset, emotic, goemotions, goemotions_raw
from emocap.corpora.formats.flickr_tokens import PART_LISTS

GOEMOTIONS = "https://raw.githubusercontent.com/google-research/google-research/master/goemotions/data"
GOEMOTIONS_RAW = "https://storage.googleapis.com/gresearch/goemotions/data/full_dataset"
CONCEPTUAL = "https://storage.googleapis.com/gcc-data"
MVSA_PAGE = "https://mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data"
SOCRATIS_FILE, SOCRATIS_CSV = "imCaptionEmotionExplanation_formatted.json", "cleaned_data.csv"


@dataclass(frozen=True)
class Remote:
    """A file that a host hands out to everyone.

    Attributes:
        url: its address.
        names: the file's name, or the paths of the files to take out of a ZIP, from any folder on.
    """

    url: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """How a corpus gets into its folder below the data root.

    Attributes:
        format: the reader of `path`, a key of `read.FORMATS`.
        path: what is read, below the folder; "" for the folder itself.
        by_hand: what to do by hand to get the rest; "" if nothing is left to do.
        needed: the files by whose presence the work by hand is done; `path` if empty.
        instead: format and path of another form of the corpus, which is enough alone; None if it has one form.
        remotes: what is downloaded.
        images: folder of the images, below the corpus's; None where it has none.
        folder: name of its folder; None for the corpus's own name.
    """

    format: str
    path: str
    by_hand: str = ""
    needed: tuple[str, ...] = ()
    instead: tuple[str, str] | None = None
    remotes: tuple[Remote, ...] = ()
    images: str | None = None
    folder: str | None = None


def _each(base: str, names: tuple[str, ...]) -> tuple[Remote, ...]:
    return tuple(Remote(f"{base}/{name}", (name,)) for name in names)


# COCO is not here: it is downloaded in parts (see `download`).
CATALOGUE: dict[str, Published] = {
    "socratis": Published(
        "socratis",
        SOCRATIS_FILE,
        f"get {SOCRATIS_FILE} from https://github.com/arijitray1993/socratis (the link 'Data' on "
        "https://kdeng55.github.io/socratis-website/) and put it there; unpack the images "
        "(https://drive.google.com/file/d/1J8SiUEfKqc5rfxE1nwZUrG1Hcz7Djc3G) into the folder images beside it, or get "
        f"them from Visual News, Conceptual Captions and COCO. Configurations that read {SOCRATIS_CSV}, such as "
        "socratis-text.yaml, need that file there, a table image_name,caption,emotions with Python lists, which is not "
        f"published there; with the JSON give them --set target.format=socratis --set target.path=socratis/"
        f"{SOCRATIS_FILE}",
        images="images",
        instead=("socratis-csv", SOCRATIS_CSV),
    ),
    "flickr8k": Published(
        "flickr8k",
        "captions.txt",
        "request the corpus from its authors (https://forms.illinois.edu/sec/1713398) and put captions.txt there, or "
        f"its Flickr8k.token.txt for the format flickr-tokens; put {', '.join(PART_LISTS.values())} beside it for the "
        "authors' split, and the images into images",
        images="images",
    ),
    "flickr8k-expressions": Published(
        "flickr8k-expressions",
        "expressions.csv",
        "get the expressions of FlickrFace11K from its authors (Nezami et al. 2018, https://arxiv.org/abs/1807.02250) "
        "and write them as expressions.csv with the columns image,emotion beside Flickr8k's captions.txt",
        needed=("expressions.csv", "captions.txt"),
        images="images",
        folder="flickr8k",
    ),
    "goemotions": Published("goemotions", "", remotes=_each(GOEMOTIONS, (*goemotions.FILES, goemotions.NAMES_FILE))),
    "goemotions-raw": Published("goemotions-raw", "", remotes=_each(GOEMOTIONS_RAW, goemotions_raw.FILES)),
    "posts": Published(
        "table",
        "posts.csv",
        "write your own posts as posts.csv with the columns image,caption,emotions, and put their images into images; "
        f"a published corpus of this kind is MVSA ({MVSA_PAGE})",
        images="images",
    ),
    "karpathy": Published(
        "karpathy",
        "dataset_coco.json",
        remotes=(
            Remote(
                "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
                ("dataset_coco.json", "dataset_flickr8k.json", "dataset_flickr30k.json"),
            ),
        ),
    ),
    "flickr30k": Published(
        "flickr30k",
        "results.csv",
        "request the corpus from its authors (https://forms.illinois.edu/sec/229675) and put results.csv there, or "
        "results_20130124.token for the format flickr-tokens, and the images into images",
        images="images",
    ),
    "conceptual-captions": Published(
        "conceptual-captions",
        "GCC-1.1.0-Validation.tsv",
        remotes=(
            Remote(f"{CONCEPTUAL}/Train/GCC-training.tsv", ("GCC-training.tsv",)),
            Remote(f"{CONCEPTUAL}/Validation/GCC-1.1.0-Validation.tsv", ("GCC-1.1.0-Validation.tsv",)),
        ),
    ),
    "senticap": Published(
        "senticap",
        "senticap_dataset.json",
        remotes=(
            Remote(
                "http://users.cecs.anu.edu.au/~u4534172/data/Senticap/senticap_dataset.zip", ("senticap_dataset.json",)
            ),
        ),
        images="val2014",
    ),
    "flickrstyle": Published(
        "flickrstyle",
        "humor/funny_train.txt",
        remotes=(
            Remote(
                "https://zhegan27.github.io/Papers/FlickrStyle_v0.9.zip",
                ("humor/funny_train.txt", "humor/train.p", "romantic/romantic_train.txt", "romantic/train.p"),
            ),
        ),
    ),
    "artemis": Published(
        "artemis",
        "artemis_dataset_release_v0.csv",
        "fill in the form on https://www.artemisdataset.org and put artemis_dataset_release_v0.csv there, and "
        "WikiArt's images into wikiart/STYLE/PAINTING.jpg",
        images="wikiart",
    ),
    "emotic": Published(
        "emotic",
        "",
        "request the corpus (https://s3.sunai.uoc.edu/emotic/download.html), turn Annotations.mat into train.csv, "
        "val.csv and test.csv with mat2py.py of https://github.com/Tandon-A/emotic, and put them there with a "
        "captions.csv of the columns image,caption, and the images into emotic",
        needed=emotic.FILES,
        images="emotic",
    ),
    "emoset": Published(
        "emoset",
        "",
        "get EmoSet-118K from https://vcc.tech/EmoSet, unpack it there (train.json, val.json, test.json, image and "
        "annotation), and add a captions.csv of the columns image,caption",
        needed=emoset.FILES,
        images="",
    ),
    "oasis": Published(
        "oasis",
        "OASIS.csv",
        "get the archive from https://osf.io/6pnd7 and put OASIS.csv and its folder Images there",
        images="Images",
    ),
    "emotion6": Published(
        "table",
        "emotion6.csv",
        "get Emotion6 from http://chenlab.ece.cornell.edu/downloads.html and write emotion6.csv with the columns "
        "image,caption,emotions: it has no captions of its own",
        images="images",
    ),
    "twitter": Published(
        "table",
        "twitter.csv",
        "get the photographs and votes of You et al. 2015 from https://qzyou.github.io and write twitter.csv with the "
        "columns image,caption,emotions: they have no captions of their own",
        images="images",
    ),
    "lewidi": Published(
        "lewidi",
        "VariErrNLI_train.json",
        "register for the task on https://le-wi-di.github.io and put its JSON files there, such as MP_train.json",
    ),
    "nemo-plus": Published(
        "nemo-plus",
        "nemo-plus.csv",
        "get the answers from the authors (Gao et al. 2022, https://hdl.handle.net/2144/45971) and write them as "
        "nemo-plus.csv with the columns item,shown,headline,image,answer,emotion,reason",
        images="images",
    ),
    "goodnewseveryone": Published(
        "goodnewseveryone",
        "goodnewseveryone.csv",
        "get the release from http://www.romanklinger.de/data-sets/GoodNewsEveryone.zip and write it as "
        "goodnewseveryone.csv with the columns id,headline,reader_emotion",
    ),
    "semeval2007": Published(
        "semeval2007",
        "semeval2007.csv",
        "get 'Affective Text' from https://web.eecs.umich.edu/~mihalcea/affectivetext and write headlines and scores "
        "as semeval2007.csv with the columns id,headline,anger,disgust,fear,joy,sadness,surprise",
    ),
    "emobank": Published(
        "emobank",
        "emobank.csv",
        remotes=(
            Remote("https://raw.githubusercontent.com/JULIELab/EmoBank/master/corpus/emobank.csv", ("emobank.csv",)),
        ),
    ),
    "depechemood": Published(
        "table",
        "depechemood.csv",
        "get it from https://github.com/marcoguerini/DepecheMood if you want its words; it is a lexicon, without "
        "captions, and no corpus to read",
    ),
}

"""The names of the systems whose captions are compared, free of torch, so that the report can use them too."""

WITHOUT_EMOTION = "without emotion"
NOT_GUIDED = "emotion, not guided"
GUIDED = "guided"
RERANKED = "guided and re-ranked"
SHUFFLED = "shuffled emotions, guided"
SHUFFLED_RERANKED = "shuffled emotions, guided and re-ranked"
BLANKED = "image blanked"
RANDOM = "random image"
NEAREST = "nearest image"
CONSENSUS = "consensus of the nearest"
HUMAN = "human"
SYSTEMS = (
    WITHOUT_EMOTION, NOT_GUIDED, GUIDED, RERANKED, SHUFFLED, SHUFFLED_RERANKED, BLANKED, RANDOM, NEAREST, CONSENSUS,
    HUMAN,
)  # fmt: skip
OTHER_EMOTION = "another emotion"
FORMER_NAMES = {"nearest picture's": NEAREST, "people": HUMAN}  # of runs of version 0.1

"""The names of the systems whose captions are compared, free of torch, so that the report can use them too."""

WITHOUT_EMOTION = "without emotion"
NOT_GUIDED = "emotion, not guided"
GUIDED = "guided"
RERANKED = "guided and re-ranked"
NEAREST = "nearest image"
HUMAN = "human"
SYSTEMS = (WITHOUT_EMOTION, NOT_GUIDED, GUIDED, RERANKED, NEAREST, HUMAN)
FORMER_NAMES = {"nearest picture's": NEAREST, "people": HUMAN}  # of runs of version 0.1

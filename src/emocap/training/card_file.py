"""The name of a model's card, and what to do about a damaged file, without what it takes to load a model."""

CARD = "emocap.json"
REMEDY = "restore the file, or run the study again with the same --run-dir, which writes it again"

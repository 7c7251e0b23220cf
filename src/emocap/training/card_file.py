"""The name of a model's card, without what it takes to load a model."""

CARD = "emocap.json"

"""Everything that writes captions for emotions: model, training data, generation, re-ranking, metrics and judging.

Only `emocap.study`, `emocap.api`, `emocap.report`, `emocap.app` and `emocap.cli` may import it.
"""

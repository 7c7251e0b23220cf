"""What `from emocap import ...` offers: the predictor, the captioner, explanations, and models applied to tables.

Only `emocap.app` and `emocap.cli` may import it.
"""

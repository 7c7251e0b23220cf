"""A model from one table of labelled pairs: candidates, their cross-validation, the choice, and the fit to all rows.

Package of `emocap train`. Metrics, baselines, calibration and the training loop are those of the studies.
"""

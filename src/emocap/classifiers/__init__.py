"""Classifiers: every kind of model that a study evaluates, saved as a model folder and loaded by `load_classifier`."""

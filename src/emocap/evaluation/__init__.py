"""Evaluation on held-out pairs: the table of metrics, baselines, calibration, significance and human agreement.

May be imported by `captioning`, `pseudo_labels`, `api`, `study` and `report`; `metrics` never imports torch.
"""

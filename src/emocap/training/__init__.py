"""Training and prediction of emotion models: the training loop, losses, batches and model folders.

May be imported by `evaluation`, `pseudo_labels`, `captioning`, `api`, `study` and what is above them.
"""

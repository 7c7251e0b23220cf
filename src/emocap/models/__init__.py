"""The emotion classifier: VisualBERT encoder, backbones, initialisation, and transfer of layers.

May be imported by `training` and every package above it; imports only `weights` and small helpers.
"""

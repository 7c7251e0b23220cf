"""The report of a finished study and the comparison of several: files of a run directory, tables, figures, text.

Only `emocap.cli` imports it; it reads a run directory alone and never imports torch.
"""

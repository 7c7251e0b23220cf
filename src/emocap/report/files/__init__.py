"""The JSON files of a run directory as pydantic models, checked when they are read.

Only the other modules of `emocap.report` import it.
"""

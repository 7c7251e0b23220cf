"""A study from YAML to results: its configuration, its models and stages, and the cache of its run directory.

Only `cli`, `app` and `report` may import it; it imports no package at its own level or above.
"""

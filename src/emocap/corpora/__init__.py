"""Readers of published corpora, the table of pairs that they return, splits of it, and downloads.

Any package of a higher layer may import it; it imports only `emotions`, `files`, `progress` and `errors`.
"""

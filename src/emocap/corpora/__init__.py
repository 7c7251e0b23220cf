"""Readers of published corpora, the table of pairs that they return, splits of it, and downloads.

Every package may import it except `demo` and those below it: `emotions`, `files`, `progress` and `errors`.
"""

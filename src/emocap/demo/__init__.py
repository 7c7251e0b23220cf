"""The synthetic demo corpora: scenes that are drawn and captioned with known emotion probabilities.

It writes corpora for others to read; only `cli`, `app` and benchmarks may import it.
"""

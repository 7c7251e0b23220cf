"""The readers of published corpora, one file per layout; `corpora.read` lists them. Imported by `corpora.read` alone,
and importing only the table of pairs and what reads rows and labels."""

"""The extractors, which find regions in an image and describe each by a feature vector, and their registry.

Imported through `registry` by every package that may import `regions`; only the registry names the extractors.
"""

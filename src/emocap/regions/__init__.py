"""Region features of images: decoding, extraction, feature stores, and import and export of other formats.

May be imported by every package except `corpora`, `demo` and `models`.
"""

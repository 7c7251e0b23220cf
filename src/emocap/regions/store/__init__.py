"""Feature stores: their format on disk, the memory-mapped reader, and the writer that survives interruptions.

May be imported by every package that may import `regions`.
"""

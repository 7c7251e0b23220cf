"""The configuration of a study, one file per section: pydantic models with every key documented.

All of `study` and the command line may import it; it imports only settings of packages below.
"""

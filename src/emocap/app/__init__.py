"""The server: a web page and a REST interface for one model, behind middleware with limits, a key and a log.

Only `cli` may import it; it may import every package but `cli`.
"""

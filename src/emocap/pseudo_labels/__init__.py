"""Pseudo-labels: scoring the source with a teacher, selection of the labels, and their audit.

May be imported by `api`, `study` and what is above them.
"""

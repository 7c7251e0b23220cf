"""The stages of a study, one file each: functions from files to files in a run directory, listed in `table`.

Only `study.run` and `study.manifest` may import it; a stage may import what other stages share.
"""

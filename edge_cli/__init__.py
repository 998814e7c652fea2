"""The command lines `edge` and `flctl`: a few lines per command, no logic.

Each command imports its room when it runs, so that `edge --help` stays quick.
"""

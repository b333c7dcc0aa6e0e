"""What an experiment will cost before it runs, and afterwards how far off that was.

Usable on any experiment, run or not.
"""

"""Functional comparison: do runs that share a task give the same answers, and can one run's head
read another's features?
"""

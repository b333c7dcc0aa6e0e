"""Do runs that share a task answer alike, and can one run's head read another's features?"""

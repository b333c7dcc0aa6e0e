"""One run: a system trained on one data set with one seed."""

"""One run: a system trained on one data set with one seed."""

PRECISIONS = ("auto", "float32", "bfloat16")  # what a configuration may ask a training for

"""Which tests of the sanity battery each measure failed on our networks, as
docs/comparison_sanity.md reports; for figures.
"""

_ALL_BUT_ONE = (
    "layer_retrieval",
    "seed_and_layer",
    "seed_and_system",
    "components_accuracy",
    "components_monotone",
    "noise_monotone",
    "answers",
)
FAILED = {
    "cca_mean": _ALL_BUT_ONE,
    "pwcca": _ALL_BUT_ONE,
    "svcca": ("layer_retrieval", "seed_and_layer", "seed_and_system", "answers"),
    "unit_correlation": (
        "seed_and_system",
        "components_accuracy",
        "components_monotone",
        "answers",
    ),
}


def warning(measure: str) -> str:
    """A sentence for the small print of a figure; empty for measures that failed nothing."""
    tests = FAILED.get(measure, ())
    return (
        f" {measure} failed {len(tests)} of 8 sanity tests on our networks: {', '.join(tests)}."
        if tests
        else ""
    )

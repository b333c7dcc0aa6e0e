"""What runs are called in figures."""


def run_title(dataset: str, system: str) -> str:
    """A run, for the title of its figure."""
    return f"{system}, trained on {dataset}"

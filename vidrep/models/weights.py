"""Putting a state dict into a network, with one line that says what does not fit."""

from torch import Tensor, nn

SHOWN = 8  # names in an error line


def load_state(network: nn.Module, state: dict[str, Tensor], source: object) -> None:
    """Load ``state`` into ``network``.

    Counters of batch normalisation (``num_batches_tracked``) may be missing: older files have none
    and nothing depends on them.

    Args:
        network: where the tensors go.
        state: name -> tensor.
        source: what the error line calls the state, e.g. its path.

    Raises:
        ValueError: missing or unexpected names, tensors of another shape or with values that are
            no numbers; the first eight are named.
    """
    expected = network.state_dict()
    counters = {
        name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")
    }
    state = {**counters, **state}
    problems = [f"missing {name}" for name in expected.keys() - state.keys()]
    problems += [f"unexpected {name}" for name in state.keys() - expected.keys()]
    for name in expected.keys() & state.keys():
        if expected[name].shape != state[name].shape:
            problems.append(
                f"{name} is {tuple(state[name].shape)}, the network wants"
                f" {tuple(expected[name].shape)}"
            )
        elif state[name].isnan().any():
            problems.append(f"{name} has values that are no numbers (NaN)")
    if problems:
        shown = "; ".join(sorted(problems)[:SHOWN])
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ValueError(f"{source} does not fit the network: {shown}{more}")
    network.load_state_dict(state)

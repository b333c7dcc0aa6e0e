"""Multiply-adds of convolutions and matrix products, counted while a network computes."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count


def _attention_flops(query, key, value, *_, **__) -> int:
    """Cost of fused attention on a CPU; torch knows that of the GPU kernels only."""
    return sdpa_flop_count(query.shape, key.shape, value.shape)


def _recurrent_flops(steps, input_weights, state_weights, *_, **__) -> int:
    """Cost of a layer of ``nn.LSTM`` on a CPU over ``steps`` (T, B, D), which torch leaves out."""
    count, batch, _ = steps.shape
    return 2 * count * batch * (input_weights.numel() + state_weights.numel())


# operation -> function of its arguments, and of its result as ``out_val``
FLOPS = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent_flops,
}


class MultiplyAdds(TorchDispatchMode):
    """Counts what networks compute within its block, on any device, "meta" too.

    It counts as ``torch.utils.flop_counter.FlopCounterMode`` does, which imports torch's compiler,
    a second in every training job.

    Attributes:
        flops: operations so far; torch counts a multiply-add as two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    @property
    def count(self) -> int:
        """Multiply-adds so far."""
        return self.flops // 2

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler to tell it to leave this class alone."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Compute an operation and count it, or the operations that it is made of."""
        kwargs = kwargs or {}
        counted = FLOPS.get(func._overloadpacket)
        if counted is None:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if counted is not None:
            self.flops += counted(*args, **kwargs, out_val=result)
        return result

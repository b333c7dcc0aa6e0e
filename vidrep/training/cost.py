"""What a system costs: parameters, multiply-adds, speed, memory."""

import resource
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from vidrep.training.device import Device
from vidrep.training.loop import evaluate
from vidrep.training.split import Split


def _attention_flops(query: torch.Size, key: torch.Size, value: torch.Size, *_, **__) -> int:
    """Cost of fused attention on a CPU; torch knows that of the GPU kernels only."""
    return sdpa_flop_count(query, key, value)


FUSED_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


def count_parameters(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(objective: nn.Module, split: Split, device: Device) -> int:
    """Multiply-adds of convolutions and matrix products in scoring one clip.

    Every frame and flow stack that scoring samples counts.
    """
    objective.eval()
    batch = split.batch(slice(0, 1), device)
    with FlopCounterMode(display=False, custom_mapping=FUSED_ATTENTION) as counter:
        objective.score(batch)
    return counter.get_total_flops() // 2  # torch counts a multiply-add as two


def inference_clips_per_s(objective: nn.Module, split: Split, device: Device) -> float:
    """Clips scored per second, in float32."""
    started = time.perf_counter()
    evaluate(objective, split, device)
    return len(split) / (time.perf_counter() - started)


def peak_bytes(device: Device) -> int:
    """Largest memory so far: of the device's allocator on CUDA, of the whole process on a CPU."""
    if device.device.type == "cuda":
        return torch.cuda.max_memory_allocated(device.device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

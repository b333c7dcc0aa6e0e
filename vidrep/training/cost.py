"""What a system costs: parameters, multiply-adds, speed, memory."""

import resource
import time

import torch
from torch import nn

from vidrep.multiply_adds import MultiplyAdds
from vidrep.training.device import Device
from vidrep.training.loop import evaluate
from vidrep.training.split import Split


def count_parameters(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(objective: nn.Module, split: Split, device: Device) -> int:
    """Multiply-adds of convolutions and matrix products in embedding one clip.

    Every frame and flow stack that evaluation samples counts; heads and decoders do not, as in the
    catalogue's listing.
    """
    objective.eval()
    batch = split.batch(slice(0, 1), device)
    with MultiplyAdds() as counter:
        objective.embed(batch)
    return counter.count


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

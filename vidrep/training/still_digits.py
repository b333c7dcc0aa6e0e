"""A CNN trained on still digits: the weights "still_digits" of networks that look at frames one by one.

It sees the digit images of the experiment's training split, each filling the image as in MNIST. Its state is the best one on the
validation split; the test split only says how good it is.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.digits.source import DigitSource
from vidrep.models.trunks.digit_cnn import DigitCNN
from vidrep.models.trunks.trunk import resize
from vidrep.streams import stream_seed
from vidrep.training.device import Device

STEPS, BATCH, LR = 200, 32, 1e-3
EVERY = 50  # steps between evaluations


def train_on_digits(digits: DigitSource, *, seed: int, device: Device, steps: int = STEPS) -> tuple[dict[str, Tensor], dict]:
    """Train ``DigitCNN`` with Adam and softmax cross-entropy.

    Args:
        digits: the experiment's digits.
        seed: the experiment's seed.
        device: where to compute.
        steps: batches of ``BATCH`` digits, drawn with replacement.

    Returns:
        The state dict on the CPU, and what a record says: steps, the chosen step, accuracies.
    """
    splits = {name: _tensors(digits, name, device) for name in digits.splits}
    generator = torch.Generator().manual_seed(stream_seed(seed, "still_digits", "order"))
    torch.manual_seed(stream_seed(seed, "still_digits"))
    network = DigitCNN(classes=10).to(device.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=LR)
    images, labels = splits["train"]
    best, chosen, state = (-1.0, 0.0), 0, {}
    for step in range(1, steps + 1):
        index = torch.randint(len(labels), (BATCH,), generator=generator).to(device.device)
        network.train()
        with device.autocast():
            loss = F.cross_entropy(network(images[index]), labels[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % EVERY == 0 or step == steps:
            accuracy, loss = evaluate(network, *splits["validation"])
            if (accuracy, -loss) > best:
                best, chosen, state = (accuracy, -loss), step, copy.deepcopy(network.state_dict())
    network.load_state_dict(state)
    record = {"steps": steps, "chosen_step": chosen, "validation_accuracy": best[0]}
    record["test_accuracy"] = evaluate(network, *splits["test"])[0]
    return {name: tensor.cpu() for name, tensor in state.items()}, record


def _tensors(digits: DigitSource, split: str, device: Device) -> tuple[Tensor, Tensor]:
    """Images (m, 1, 28, 28) in [0, 1], labels (m,)."""
    images, labels = digits.split(split)
    pixels = torch.from_numpy(images)[:, None].to(device.device, torch.float32).div_(255)
    return resize(pixels, (DigitCNN.image_px,) * 2), torch.from_numpy(labels).to(device.device, torch.long)


@torch.no_grad()
def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and mean cross-entropy, in float32."""
    network.eval()
    scores = torch.cat([network(part) for part in images.split(500)])
    return (scores.argmax(1) == labels).double().mean().item(), F.cross_entropy(scores, labels).item()

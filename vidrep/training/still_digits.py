"""A CNN trained on still digits: the weights "still_digits" of networks that see single frames.

It sees the digit images of the experiment's training split, each at a random place of an otherwise
black frame as large as those of the clips. Its state is the best one on the validation split; the
test split only says how good it is.

Deviation from gbpcosta/video_representations, which takes a CNN trained on digits that fill the
image: those are more than twice as large as the digits in its clips, and a recurrent network on
such features learns next to nothing.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.digits.source import DigitSource
from vidrep.models.trunks.digit_cnn import DigitCNN
from vidrep.models.trunks.trunk import resize
from vidrep.random_streams import stream_seed
from vidrep.training.device import Device

STEPS = 600
BATCH = 32
LR = 1e-3
EVERY = 100  # steps between evaluations


def train_on_digits(
    digits: DigitSource,
    *,
    canvas: int,
    seed: int,
    device: Device,
    steps: int = STEPS,
) -> tuple[dict[str, Tensor], dict]:
    """Train ``DigitCNN`` with Adam and softmax cross-entropy.

    Args:
        digits: the experiment's digits.
        canvas: side of a frame in pixels.
        seed: the experiment's seed.
        device: where to compute.
        steps: batches of ``BATCH`` digits, drawn with replacement.

    Returns:
        The state dict on the CPU, and what a record says: steps, the chosen step, accuracies.
    """
    generator = torch.Generator().manual_seed(stream_seed(seed, "still_digits", "draws"))
    held_out = {}
    for name in ("validation", "test"):
        images, labels = _tensors(digits, name)
        held_out[name] = (place(images, canvas, generator), labels)
    torch.manual_seed(stream_seed(seed, "still_digits"))
    network = DigitCNN(classes=10).to(device.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=LR)
    images, labels = _tensors(digits, "train")
    best = (-1.0, 0.0)  # accuracy and minus loss, on validation digits
    chosen = 0
    state = {}
    for step in range(1, steps + 1):
        index = torch.randint(len(labels), (BATCH,), generator=generator)
        frames = place(images[index], canvas, generator).to(device.device)
        network.train()
        with device.autocast():
            loss = F.cross_entropy(network(frames), labels[index].to(device.device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % EVERY == 0 or step == steps:
            accuracy, entropy = evaluate(network, *held_out["validation"], device)
            if (accuracy, -entropy) > best:
                best = (accuracy, -entropy)
                chosen = step
                state = copy.deepcopy(network.state_dict())
    network.load_state_dict(state)
    test_accuracy, _ = evaluate(network, *held_out["test"], device)
    record = {
        "steps": steps,
        "chosen_step": chosen,
        "validation_accuracy": best[0],
        "test_accuracy": test_accuracy,
    }
    return {name: tensor.cpu() for name, tensor in state.items()}, record


def _tensors(digits: DigitSource, split: str) -> tuple[Tensor, Tensor]:
    """Images (m, patch, patch) in [0, 1], labels (m,)."""
    images, labels = digits.split(split)
    scaled = torch.from_numpy(images).float().div_(255)
    return scaled, torch.from_numpy(labels).long()


def place(images: Tensor, canvas: int, generator: torch.Generator) -> Tensor:
    """Each digit wholly inside a black frame, at a random place.

    Args:
        images: (m, patch, patch).
        canvas: side of a frame in pixels.
        generator: of the places.

    Returns:
        (m, 1, 28, 28), the frames resized to what the network takes.
    """
    patch = images.shape[1]
    corners = torch.randint(canvas - patch + 1, (len(images), 2), generator=generator)
    frames = torch.zeros(len(images), 1, canvas, canvas)
    for frame, image, (top, left) in zip(frames, images, corners.tolist(), strict=True):
        frame[0, top : top + patch, left : left + patch] = image
    side = DigitCNN.image_px
    return resize(frames, (side, side))


@torch.no_grad()
def evaluate(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    device: Device,
) -> tuple[float, float]:
    """Accuracy and mean cross-entropy, in float32."""
    network.eval()
    parts = images.split(500)
    scores = torch.cat([network(part.to(device.device)).cpu() for part in parts])
    right = scores.argmax(1) == labels
    entropy = F.cross_entropy(scores, labels)
    return right.double().mean().item(), entropy.item()

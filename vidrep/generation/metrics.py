"""How far generated frames are from the true ones, frame by frame.

Values of frames lie in [0, 1], and nothing is clipped but for the cross-entropy. "Per frame" is the
sum over a frame's values, "per pixel" their mean (over channels too). Published numbers for Moving
MNIST are sums per frame.
"""

from torch import Tensor

from vidrep.frame_errors import nats_per_frame

MAX_PSNR_DB = 100.0  # of a frame generated without error
WINDOW_PX = 7  # side of SSIM's square window
_C1 = 0.01**2  # SSIM's constants for values in [0, 1]
_C2 = 0.03**2


def frame_scores(generated: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """The scores of each generated frame.

    Args:
        generated, truth: (B, C, k, H, W) float32 in [0, 1].

    Returns:
        Metric to values (B, k): ``squared_error_per_pixel``, ``squared_error_per_frame``,
        ``absolute_error_per_frame``, ``psnr_db`` (of each frame, at most ``MAX_PSNR_DB``: its mean
        is a mean of decibels), ``nats_per_frame``, and ``ssim`` where frames are at least
        ``WINDOW_PX`` wide and high.
    """
    error = generated - truth
    squares = error.square()
    per_pixel = squares.mean((1, 3, 4))
    smallest = 10 ** (-MAX_PSNR_DB / 10)
    scores = {
        "squared_error_per_pixel": per_pixel,
        "squared_error_per_frame": squares.sum((1, 3, 4)),
        "absolute_error_per_frame": error.abs().sum((1, 3, 4)),
        "psnr_db": -10 * per_pixel.clamp(min=smallest).log10(),
        "nats_per_frame": nats_per_frame(generated, truth),
    }
    height, width = truth.shape[3:]
    if min(height, width) >= WINDOW_PX:
        scores["ssim"] = ssim(generated, truth)
    return scores


def ssim(generated: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each frame for values of range 1: (B, C, k, H, W) twice -> (B, k).

    Means, sample variances and covariance in square windows of ``WINDOW_PX``, averaged over all
    windows that lie inside the frame and over channels: the definition of scikit-image, with which
    most numbers for Moving MNIST were computed (by its older versions for range 2, which gives
    higher values). The Gaussian window of 11 px that others use gives lower ones.

    Reference: Wang, Bovik, Sheikh & Simoncelli, IEEE TIP 13 (2004), equation 13.
    """
    clips, _, frames = truth.shape[:3]
    x = generated.transpose(1, 2).flatten(0, 1)  # (B*k, C, H, W)
    y = truth.transpose(1, 2).flatten(0, 1)
    mean_x = _window_means(x)
    mean_y = _window_means(y)
    mean_xx = _window_means(x * x)
    mean_yy = _window_means(y * y)
    mean_xy = _window_means(x * y)
    of_sample = WINDOW_PX**2 / (WINDOW_PX**2 - 1)
    variances = of_sample * (mean_xx - mean_x**2 + mean_yy - mean_y**2)
    covariance = of_sample * (mean_xy - mean_x * mean_y)
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (variances + _C2)
    similarity = numerator / denominator  # (B*k, C, H - 6, W - 6)
    return similarity.mean((1, 2, 3)).unflatten(0, (clips, frames))


def _window_means(maps: Tensor) -> Tensor:
    """Means in all windows that lie inside maps (..., H, W).

    Sums of shifted maps are three times as fast as pooling with stride 1.
    """
    for dim in (-2, -1):
        places = maps.shape[dim] - WINDOW_PX + 1
        shifted = [maps.narrow(dim, shift, places) for shift in range(WINDOW_PX)]
        maps = sum(shifted)
    return maps / WINDOW_PX**2

"""Does each system do at small scale what its source says? One module of claims for each source."""

from collections.abc import Sequence
from difflib import get_close_matches

SOURCES = {
    "gbpcosta_framework": "The comparison framework of 2018-2020",
    "sequential_3dcnn_lstm": "3-D CNN, then LSTM (Baccouche et al., HBU 2011)",
    "two_stream": "Two-stream networks (Simonyan & Zisserman, arXiv 1406.2199)",
    "fusion_cnns": "Fusion CNNs (Karpathy et al., CVPR 2014)",
    "pretrained": "Pretrained trunks",
    "capsules": "Capsules with dynamic routing (Sabour et al., arXiv 1710.09829)",
    "lstm_composite": (
        "LSTM autoencoders and future predictors (Srivastava et al., arXiv 1502.04681)"
    ),
    "tcc": "Temporal cycle consistency (Dwibedi et al., arXiv 1904.07846)",
    "predictive": (
        "Modern predictors and self-supervised transformers (SimVP, PredRNN, VideoMAE, V-JEPA)"
    ),
    "st_autoencoder": (
        "Spatio-temporal autoencoder with differentiable memory (Patraucean et al., arXiv"
        " 1511.06309)"
    ),
    "temporal_coherence": "Temporal coherence in video (Mobahi, Collobert & Weston, ICML 2009)",
    "video_learning_anchors": "Controls, transformers and efficient nets",
    "temporal_activity_detection": "Temporal activity detection (Montes et al., arXiv 1608.08128)",
}


def chosen_sources(names: Sequence[str] = ()) -> list[str]:
    """The sources among ``names``, all by default, in the order of ``SOURCES``.

    Raises:
        ValueError: a name that is no source.
    """
    for name in names:
        if name not in SOURCES:
            near = get_close_matches(name, SOURCES) or list(SOURCES)
            raise ValueError(f"unknown source {name!r}; give some of {', '.join(near)}")
    return [source for source in SOURCES if source in names or not names]

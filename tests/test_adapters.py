"""Networks of other libraries: built offline at tiny sizes, where the libraries are installed."""

import json
import os
import sys

import pytest
import torch

from vidrep.activations.capture import capturing
from vidrep.adapters import hugging_face, timm_frames, torchvision_videos
from vidrep.own_models import check_layers, check_own_model, open_network

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    import transformers
except Exception:
    transformers = None
try:
    import timm
    import torchvision
except Exception:  # also where they are installed and do not work
    timm = None
    torchvision = None

pytestmark = pytest.mark.slow
if_transformers = pytest.mark.skipif(transformers is None, reason="transformers does not work here")
if_torchvision = pytest.mark.skipif(timm is None, reason="torchvision or timm does not work here")

SHAPE = (3, 8, 40, 48)
COMMON = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PREDICTOR = {
    "pred_hidden_size": 8,
    "pred_num_attention_heads": 2,
    "pred_num_hidden_layers": 1,
}
CONFIGS = {
    "videomae": {"image_size": 32, "num_frames": 8, "tubelet_size": 2, "patch_size": 16},
    "vjepa2": {
        "crop_size": 32,
        "frames_per_clip": 8,
        "tubelet_size": 2,
        "patch_size": 16,
        "mlp_ratio": 2,
        **PREDICTOR,
    },
    "timesformer": {"image_size": 32, "num_frames": 8, "patch_size": 16},
    "vivit": {"image_size": 32, "num_frames": 8, "tubelet_size": [2, 16, 16]},
}
CASES = [
    *((name, {}) for name in CONFIGS),
    ("timesformer", {"attention_type": "space_only"}),
    ("timesformer", {"attention_type": "joint_space_time"}),
]
PLACE = "vidrep.adapters.hugging_face:VideoTransformer"


def config_of(name: str, **changes) -> dict:
    return {"model_type": name, **COMMON, **CONFIGS[name], **changes}


@if_transformers
@if_transformers
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_every_token_lies_where_its_patch_is(name, changes):
    """What one patch changes in the embeddings is the token at its place and no other."""
    torch.manual_seed(0)
    network = hugging_face.VideoTransformer((3, 8, 32, 32), config=config_of(name, **changes))
    check_layers(network, (3, 8, 32, 32))
    clip = torch.rand(1, 3, 8, 32, 32)
    changed = clip.clone()
    changed[:, :, 4:6, 16:, :16] += 0.5
    kept = []
    with torch.no_grad():
        for given in (clip, changed):
            with capturing(network.eval(), network.layers) as captured:
                network(given)
            kept.append(captured)
    first = network.layers[0]
    assert kept[0][first].shape[2:] == (8 if name == "timesformer" else 4, 2, 2)
    differs = (kept[0][first] != kept[1][first]).any(1)[0]  # (t, h, w)
    times = [4, 5] if name == "timesformer" else [2]
    assert differs.nonzero().tolist() == [[time, 1, 0] for time in times]
    last = kept[0][network.layers[-2]]
    assert last.shape == kept[0][first].shape and kept[0]["embedding"].shape == (1, 24)


@if_transformers
@pytest.mark.parametrize("name", CONFIGS)
def test_weights_come_from_a_folder_and_outputs_are_the_librarys(name, tmp_path):
    config = transformers.AutoConfig.for_model(**config_of(name))
    torch.manual_seed(1)
    published = transformers.AutoModelForVideoClassification.from_config(config).eval()
    published.save_pretrained(tmp_path)
    mean, std = hugging_face.KINDS[name].image
    record = {"image_mean": mean, "image_std": std}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(record))
    network = open_network(
        PLACE,
        clip_shape=(3, 8, 32, 32),
        params={"folder": str(tmp_path)},
        weights=tmp_path / "model.safetensors",
    )
    clip = torch.rand(2, 3, 8, 32, 32)
    shift = torch.tensor(mean)[:, None, None]
    frames = (clip.transpose(1, 2) - shift) / torch.tensor(std)[:, None, None]
    base = getattr(published, published.base_model_prefix)
    options = {"skip_predictor": True} if name == "vjepa2" else {}
    with torch.no_grad():
        tokens = base(frames, **options).last_hidden_state
        expected = tokens[:, 0] if hugging_face.KINDS[name].class_token else tokens.mean(1)
        torch.testing.assert_close(network(clip), expected, rtol=1e-5, atol=1e-5)


@if_transformers
def test_grey_clips_of_another_size_are_prepared():
    network = hugging_face.VideoTransformer((1, *SHAPE[1:]), config=config_of("videomae"))
    clip = torch.rand(1, 1, *SHAPE[1:])
    colour = clip.expand(1, 3, *SHAPE[1:])
    assert network.images(clip).shape == (8, 3, 32, 32)
    assert torch.equal(network.images(clip), network.images(colour))


@if_transformers
def test_the_preprocessing_is_read_from_the_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config_of("vivit")))
    params = {"folder": str(tmp_path)}
    for record, mean, std in (
        ({"image_mean": [0.1] * 3, "image_std": [0.2] * 3}, 0.1, 0.2),
        ({"offset": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, 0.5, 0.5),
        ({"do_normalize": False}, 0.0, 1.0),
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(record))
        network = hugging_face.VideoTransformer((3, 8, 32, 32), **params)
        assert network.images.mean.flatten().tolist() == pytest.approx([mean] * 3)
        assert network.images.std.flatten().tolist() == pytest.approx([std] * 3)


@if_transformers
def test_weights_that_do_not_fit_are_refused_where_the_library_would_leave_them_random():
    network = hugging_face.VideoTransformer((3, 8, 32, 32), config=config_of("videomae"))
    state = network.net.state_dict()
    name = "encoder.layer.1.attention.attention.query.weight"
    with pytest.raises(ValueError, match=f"w.bin does not fit the network: missing {name}$"):
        network.load_pretrained({k: v for k, v in state.items() if k != name}, "w.bin")
    with pytest.raises(ValueError, match=r"is \(3,\), the network wants \(24, 24\)$"):
        network.load_pretrained({**state, name: torch.zeros(3)}, "w.bin")


@pytest.mark.parametrize(
    ("shape", "config", "message"),
    [
        ((3, 16, 32, 32), config_of("videomae"), "clips of 8 frames .num_frames in its conf.*16$"),
        ((2, 8, 32, 32), config_of("videomae"), "grey or RGB clips, got 2 channels"),
        ((3, 8, 32, 32), {"model_type": "bert"}, "model_type must be one of videomae, vjepa2,"),
        ((3, 8, 32, 32), {}, "model_type must be one of .*, got None"),
    ],
)
def test_what_does_not_fit_is_one_line(shape, config, message):
    with pytest.raises(ValueError, match=message):
        hugging_face.VideoTransformer(shape, config=config)


@if_transformers
def test_a_system_of_it_is_checked():
    definition = {
        "name": "videomae",
        "model": PLACE,
        "params": {"config": config_of("videomae")},
        "objective": "classification",
        "objective_params": {},
    }
    check_own_model(definition, (3, 8, 32, 32))


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"takes the package transformers, which cannot") as error:
        hugging_face.quiet_library()
    assert "\n" not in str(error.value)


# --- torchvision and timm. ---


@if_torchvision
@pytest.mark.parametrize(
    ("name", "last"), [("r3d_18", (512, 1, 2, 2)), ("swin3d_t", (768, 4, 1, 1))]
)
def test_networks_of_torchvision_are_extracted(name, last):
    network = torchvision_videos.VideoNetwork((1, *SHAPE[1:]), name=name, image_px=32).eval()
    check_layers(network, (1, *SHAPE[1:]))
    with torch.no_grad(), capturing(network, network.layers) as captured:
        network(torch.rand(2, 1, *SHAPE[1:]))
    assert captured[network.layers[-2]].shape == (2, *last)
    assert captured["embedding"].shape == (2, last[0])
    published = torchvision.models.get_model(name, weights=None).state_dict()
    network.load_pretrained(published, "w.pth")
    kept = network.net.state_dict()
    assert all(torch.equal(value, published[key]) for key, value in kept.items())


@if_torchvision
@pytest.mark.parametrize(
    ("name", "options", "last"),
    [
        ("resnet18", {}, (512, 8, 2, 2)),
        ("vit_tiny_patch16_224", {"img_size": 64}, (192, 8, 4, 4)),
        ("swin_tiny_patch4_window7_224", {"img_size": 64}, (768, 8, 2, 2)),
    ],
)
def test_networks_of_timm_are_extracted_frame_by_frame(name, options, last):
    network = timm_frames.FrameNetwork(SHAPE, name=name, image_px=64, options=options).eval()
    check_layers(network, SHAPE)
    clip = torch.rand(2, *SHAPE)
    with torch.no_grad(), capturing(network, network.layers) as captured:
        network(clip)
    assert captured[network.layers[-2]].shape == (2, *last)
    assert captured["embedding"].shape[:2] == (2, 8)
    if name == "resnet18":
        own = captured[network.layers[-2]][1, :, 3]
        with torch.no_grad():
            frame = network.net.forward_features(network.images(clip[1:, :, 3:4]))
        torch.testing.assert_close(own, frame[0], rtol=1e-4, atol=1e-5)


@if_torchvision
def test_unknown_networks_are_one_line():
    with pytest.raises(ValueError, match=r"must be one of r3d_18, .*, got 'r4d'"):
        torchvision_videos.VideoNetwork(SHAPE, name="r4d")
    with pytest.raises(ValueError, match="Unknown model"):
        timm_frames.FrameNetwork(SHAPE, name="no_such_net")


@pytest.mark.parametrize(
    ("factory", "name"),
    [(torchvision_videos.VideoNetwork, "r3d_18"), (timm_frames.FrameNetwork, "resnet18")],
)
def test_libraries_that_do_not_work_are_one_sentence(factory, name, monkeypatch):
    for library in ("torchvision", "timm"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        ValueError, match=r"which cannot be imported: .*; it must fit torch"
    ) as error:
        factory(SHAPE, name=name)
    assert "\n" not in str(error.value)

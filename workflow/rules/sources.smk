# What digits, clips and flow are made from: helpers of the first three stages.

from vidrep.datasets.declared import KINDS
from vidrep.datasets.videos.kind import files_state
from vidrep.digits import MNIST_FILES
from vidrep.flow import SHARD

SETS = EXPERIMENT.sets


def digit_files(wildcards):
    """The files that the digit source is read from; none for scikit-learn's digits."""
    digits = config["digits"]
    if digits["kind"] == "mnist":
        return [f"{digits['folder']}/{name}" for name in MNIST_FILES]
    return [digits["images"], digits["labels"]] if digits["kind"] == "idx" else []


def digit_options():
    """The digit source as options of split_digits.py."""
    return " ".join(
        f"--{key} {config['digits'][key]}"
        for key in ("kind", "folder", "images", "labels", "name")
        if key in config["digits"]
    )


def digits_file(patch):
    """The digit images at one size in pixels; those of the size under video have the plain name."""
    usual = config["video"]["patch_px"]
    name = "digits" if patch == usual else f"digits_{patch}px"
    return f"<results>/digits/{name}.npz"


def digits_patch(wildcards):
    """The size in pixels of the images in a file of digits."""
    return wildcards.size.strip("_px") or config["video"]["patch_px"]


def rendered_sets():
    """The data sets whose clips are rendered."""
    return [name for name, chosen in SETS.items() if KINDS[chosen.kind].renderer]


def sets_of_kind(kind):
    """The data sets of a kind."""
    return [name for name, chosen in SETS.items() if chosen.kind == kind]


def digits_of(wildcards):
    """The digits that a data set shows, as large as it shows them; none where it shows no digits."""
    chosen = SETS[wildcards.dataset]
    return digits_file(chosen.recipe["patch"]) if KINDS[chosen.kind].uses_digits else []


def render_code(wildcards):
    """Digest of the script and of the renderer of the data set's kind."""
    renderer = KINDS[SETS[wildcards.dataset].kind].renderer
    return code_version(script("render_dataset"), source_file(renderer, {}, "renderer"))


def flow_mb(wildcards):
    """Megabytes of the clips whose flow is computed together, and of the flow."""
    chosen = SETS[wildcards.dataset]
    together = min(1.0, SHARD / chosen.clips[wildcards.split])
    return 2000 + int(3 * together * chosen.megabytes(wildcards.split, flows=1))

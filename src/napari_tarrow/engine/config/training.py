"""Every option of training."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from ..bundled import NAMES
from ..options import Options, option
from .kinds import BlockOrAuto, DeltasOrAuto, Flag, LevelOrAuto, Path, Paths, Slices, Splits, as_number, as_text

MOVIE, NETWORK, PATCHES, TRAINING, MACHINE, OUTPUT = "Movie", "Network", "Patches", "Training", "Machine", "Output"


# What another machine may do differently when a run is resumed.
CHANGEABLE = ("device", "gpu", "num_workers", "tensorboard")

# What was measured to learn within minutes on two cores (docs/experiments.md); anything given overrides it.
INTERACTIVE: dict[str, Any] = {
    "backbone": "unet_16fmaps",
    "normalize": "smooth",
    "subsample": "auto",
    "size": 48,
    "clip": 3,
    "batchsize": 32,
    "delta": "auto",
    "transpose": True,
    "flip_val": True,
    "augment": "auto",
    "patches": "change",
    "logit_gain": 5.0,
    "lr": 1e-3,
    "lr_scheduler": "onecycle",
    "decor_loss": 0.01,
    "train_samples_per_epoch": 3200,
    "val_samples_per_epoch": 640,
    "epochs": 25,
    "keep": "last",
}


class TrainConfig(Options):
    """How a network is trained: movies, network, patches, optimiser, machine and output."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {"paper": {}, "interactive": INTERACTIVE}

    preset: Literal["paper", "interactive"] = option(
        "paper",
        "Sets the defaults of the other options: 'paper' as published, for a large GPU and a day; 'interactive' for"
        " minutes on any machine.",
        title="Preset",
        group=TRAINING,
        basic=True,
    )

    input_train: Paths = option(
        (),
        "Movies to train on: 2D+time tif files, zarr arrays, or folders of frames.",
        title="Training movies",
        group=MOVIE,
        basic=True,
    )
    input_val: Paths | None = option(
        None,
        "Movies to validate on; without it, the training movies.",
        title="Validation movies",
        group=MOVIE,
    )
    read_recursion_level: int = option(
        0,
        "Descend so many folder levels below each input to find movies.",
        title="Folder levels",
        group=MOVIE,
        ge=0,
        le=32,
    )
    split_train: Splits = option(
        ((0.0, 0.9),),
        "Part of every movie to train on, as start and end between 0 and 1; may be given several times.",
        title="Training part",
        group=MOVIE,
        basic=True,
    )
    split_val: Splits = option(
        ((0.9, 1.0),),
        "Part of every movie to validate on, as start and end between 0 and 1; may be given several times. Where this"
        " tenth makes no clip, more of the movie is taken.",
        title="Validation part",
        group=MOVIE,
        basic=True,
    )
    n_images: int | None = option(
        None, "Use at most so many frames of every movie.", title="At most frames", group=MOVIE, ge=2
    )
    channels: int = option(
        0, "Use the first so many channels; 0: the movie has no channel axis.", title="Channels", group=MOVIE, ge=0
    )
    channel: int | None = option(
        None,
        "Use the channel of this number alone, from 0, whatever channels says.",
        title="Only channel",
        group=MOVIE,
        ge=0,
    )
    axes: str | None = option(
        None, "Axes of the file where it does not say or is wrong, such as TYX or TZYX.", title="Axes", group=MOVIE
    )
    z: Slices = option(
        "max",
        "What is made of the Z slices of a frame, where there are any: max (the brightest of each pixel), mean, or the"
        " number of one slice, from 0.",
        title="Z slices",
        group=MOVIE,
    )
    frame_numbers: Path | None = option(
        None,
        "Text file with the number of every frame of a stack, one a line; missing numbers are gaps in time.",
        title="Frame numbers",
        group=MOVIE,
    )
    normalize: Literal["frame", "channel", "movie", "smooth"] = option(
        "frame",
        "Scale intensities by percentiles of each frame (all channels as the first), of each of its channels, or of"
        " each channel in the whole movie or smoothed over time (use these two where a few cells fill the view).",
        title="Normalise",
        group=MOVIE,
    )
    scale_channels: Literal["auto", "each", "together"] = option(
        "auto",
        "Divide each channel by its own range of intensities, or together by the widest of them; auto: together where"
        " they are the red, green and blue of coloured frames. With normalize frame all are scaled as the first.",
        title="Scale channels",
        group=MOVIE,
    )
    subsample: BlockOrAuto = option(
        1,
        "Average blocks of so many pixels along each side first; auto: as many as give cells a radius of about 8"
        " pixels, and leave fine structures of phase contrast one of 4.",
        title="Subsample",
        group=MOVIE,
    )
    binarize: Flag = option(
        False, "Use x > 0 instead of intensities (for label images).", title="Binarise", group=MOVIE
    )
    ndim: Annotated[Literal[2], BeforeValidator(as_number)] = option(
        2, "Spatial dimensions; only 2 is there.", title="Dimensions", group=MOVIE
    )

    backbone: str = option("unet", "Network that turns a frame into features.", title="Network", group=NETWORK)
    projhead: str = option(
        "minimal_batchnorm", "Head that projects features to the embedding.", title="Projection head", group=NETWORK
    )
    classhead: str = option("minimal", "Head that tells time's direction.", title="Classification head", group=NETWORK)
    perm_equiv: Flag = option(
        True,
        "Use the permutation-equivariant classification head: swapping frames swaps the answer.",
        title="Equivariant head",
        group=NETWORK,
    )
    features: int = option(32, "Channels of the embedding.", title="Features", group=NETWORK, ge=1, le=100_000)
    frames: int = option(
        2, "Frames of a sequence that is put in order.", title="Frames per sequence", group=NETWORK, ge=2, le=1000
    )
    init: Path | None = option(
        None,
        f"Model folder whose weights training starts from, or a network of the package: {NAMES}.",
        title="Start from model",
        group=NETWORK,
    )
    logit_gain: float = option(
        1.0,
        "Scale of the last linear layer at the start; more than 1 makes up for the mean over space.",
        title="Logit gain",
        group=NETWORK,
        gt=0,
    )

    delta: DeltasOrAuto = option(
        (1,),
        "Time steps between the frames of a sequence, in frames; several are pooled; 'auto' chooses one from the movie,"
        " over which enough changes.",
        title="Time steps",
        group=PATCHES,
        basic=True,
    )
    size: int = option(
        96, "Side of a patch in pixels (after subsampling).", title="Patch size", group=PATCHES, basic=True, ge=8
    )
    clip: int | None = option(
        None,
        "Frames of a clip: all its evenly spaced sequences count, and the network sees every frame once; at least and"
        " without it as many as a sequence has.",
        title="Frames per clip",
        group=PATCHES,
        ge=2,
        le=1000,
    )
    patches: Literal["uniform", "change"] = option(
        "uniform",
        "Draw patches uniformly, or more often where the movie changes (learns much faster).",
        title="Draw patches",
        group=PATCHES,
    )
    change_power: float = option(
        2.0,
        "With patches by change: power of the local change they are drawn by.",
        title="Change power",
        group=PATCHES,
        ge=0,
        le=8,
    )
    change_mix: float = option(
        0.1,
        "With patches by change: share that is drawn uniformly all the same.",
        title="Uniform share",
        group=PATCHES,
        ge=0,
        le=1,
    )
    reject_background: Flag = option(
        False,
        "Draw a patch up to ten times until it shows more than flat background.",
        title="Reject background",
        group=PATCHES,
    )
    augment: LevelOrAuto = option(
        5,
        "Augmentation: 0 none, 1 flips, 2 and noise and intensity, 3 and rotation, 4 and zoom and elastic,"
        " 5 all, stronger; auto: 3 at first, and ever more of 5 as the same places are seen again.",
        title="Augmentation",
        group=PATCHES,
    )
    transpose: Flag = option(False, "Also swap y and x with probability 1/2.", title="Transpose", group=PATCHES)
    contrast: float = option(
        1.0,
        "Also multiply the contrast of each training clip by a random factor, from 1 / contrast to contrast: dim cells"
        " are then learnt as bright ones are. 1 leaves it.",
        title="Contrast",
        group=PATCHES,
        ge=1,
        le=100,
    )
    flip_val: Flag = option(
        False,
        "Flip (and, with transpose, transpose) validation patches too: a drift that all cells share then does not make"
        " an epoch the best.",
        title="Flip validation",
        group=PATCHES,
    )

    epochs: int = option(
        200, "Number of epochs.", title="Epochs", group=TRAINING, basic=True, flag="-e", ge=1, le=10**9
    )
    minutes: float | None = option(
        None,
        "Train about so many minutes instead of a number of epochs: as many steps as fit.",
        title="Minutes",
        group=TRAINING,
        basic=True,
        gt=0,
    )
    train_samples_per_epoch: int = option(
        100_000, "Training clips per epoch.", title="Samples per epoch", group=TRAINING, ge=1, le=10**9
    )
    val_samples_per_epoch: int = option(
        10_000, "Validation clips, the same in every epoch.", title="Validation samples", group=TRAINING, ge=1, le=10**9
    )
    batchsize: int = option(128, "Clips per step.", title="Batch size", group=TRAINING, ge=2)
    lr: float = option(
        1e-4, "Learning rate (highest for onecycle, lowest for cyclic).", title="Learning rate", group=TRAINING, gt=0
    )
    lr_scheduler: Literal["cyclic", "plateau", "onecycle", "constant"] = option(
        "cyclic", "Course of the learning rate.", title="Schedule", group=TRAINING
    )
    lr_patience: int = option(
        50,
        "With plateau: epochs without improvement before the rate drops.",
        title="Plateau patience",
        group=TRAINING,
        ge=1,
    )
    decor_loss: float = option(0.01, "Weight of the decorrelation loss.", title="Decorrelation", group=TRAINING, ge=0)
    patience: int = option(
        0,
        "Stop after so many epochs without a better validation loss; 0: never.",
        title="Early stop",
        group=TRAINING,
        ge=0,
    )
    seed: int = option(42, "Seed of everything random.", title="Seed", group=TRAINING, ge=0, le=2**63 - 1)

    device: str = option("auto", "Where to compute: auto, cpu, cuda, cuda:1 or mps.", title="Device", group=MACHINE)
    gpu: str | None = option(
        None,
        "As in the reference: a GPU's number, a list, an interval, cpu or mps.",
        title="GPU",
        group=MACHINE,
        flag="-g",
    )
    precision: Annotated[Literal["auto", "32", "bf16"], BeforeValidator(as_text)] = option(
        "auto", "Arithmetic: 32 bits, bfloat16, or the faster of the two as measured.", title="Precision", group=MACHINE
    )
    num_workers: int = option(
        8, "Threads that read frames; the result does not depend on it.", title="Readers", group=MACHINE, ge=0
    )

    name: str | None = option(None, "Name of the run.", title="Run name", group=OUTPUT)
    outdir: Path = option("runs", "Folder of the run folders.", title="Run folders", group=OUTPUT, flag="-o")
    timestamp: Flag = option(False, "Put the time before the run folder's name.", title="Timestamp", group=OUTPUT)
    keep: Literal["best", "last"] = option(
        "best",
        "Weights that the model folder holds: those of the epoch with the lowest validation loss, or the last ones"
        " (use last where the validation part is too small to tell).",
        title="Keep weights",
        group=OUTPUT,
    )
    save_checkpoint_every: int = option(
        25, "Keep the weights every so many epochs.", title="Keep every", group=OUTPUT, ge=1
    )
    tensorboard: Flag = option(True, "Write TensorBoard event files.", title="TensorBoard", group=OUTPUT)
    visual_dataset_frequency: int = option(
        10, "Attribution maps every so many epochs.", title="Maps every", group=OUTPUT, ge=1
    )
    cam_subsampling: int = option(
        3, "Frames whose attribution maps are shown.", title="Frames with maps", group=OUTPUT, ge=0
    )
    cam_size: int | None = option(
        None,
        "Side of the central part that attribution maps are shown for; without it, the whole frame.",
        title="Map size",
        group=OUTPUT,
        ge=16,
    )
    write_final_cams: Flag = option(
        False,
        "Write the validation movies' attribution maps as tif at the end.",
        title="Write final maps",
        group=OUTPUT,
    )
    shortcuts: Flag = option(
        True,
        "Look at the end whether the network takes a shortcut (brightness, drift, focus, crowding): shortcuts.json.",
        title="Look for shortcuts",
        group=OUTPUT,
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        for name in ("split_train", "split_val"):
            _check_splits(name, getattr(self, name))
        if not self.deltas or min(self.deltas) < 1:
            raise ValueError(f"delta is {_words(self.deltas)}; give whole numbers from 1 on.")
        if len(set(self.deltas)) < len(self.deltas):
            raise ValueError(f"delta is {_words(self.deltas)}; give every time step once.")
        return self

    @property
    def deltas(self) -> tuple[int, ...]:
        """Time steps; 1 as long as it is to be chosen from the movie."""
        return (1,) if self.delta == "auto" else self.delta

    @property
    def block(self) -> int:
        """Side of the blocks that are averaged; 1 as long as it is to be chosen from the movie."""
        return 1 if self.subsample == "auto" else self.subsample

    @property
    def augment_levels(self) -> tuple[int, int]:
        """Weakest and strongest level of augmentation: with "auto" a run goes from the one to the other."""
        return (3, 5) if self.augment == "auto" else (self.augment, self.augment)

    @property
    def clip_frames(self) -> int:
        """Frames of a clip: at least those of a sequence."""
        return max(self.clip or 0, self.frames)


# The options that make the network, and what it calls them.
NETWORK_ARGUMENTS = {
    "backbone": "backbone",
    "projhead": "projection_head",
    "classhead": "classification_head",
    "frames": "n_frames",
    "features": "n_features",
    "perm_equiv": "symmetric",
}


def _check_splits(name: str, splits: tuple[tuple[float, float], ...]) -> None:
    if not splits:
        raise ValueError(f"{name} is empty; give a start and an end, such as 0 0.9.")
    for start, end in splits:
        if not 0 <= start < end <= 1:
            raise ValueError(f"{name} is {start:g} {end:g}; give a start below an end, both between 0 and 1.")


def _words(values: tuple[Any, ...]) -> str:
    return " ".join(map(str, values)) or "empty"

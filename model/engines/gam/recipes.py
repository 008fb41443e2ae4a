"""The sizes of GAM, the weights of its losses, and its recipes."""

from dataclasses import dataclass, replace
from typing import Literal

from model.learning.recipe import Recipe
from model.samples.sample_recipe import RUNS


@dataclass(frozen=True)
class GAMConfig:
    """The configuration of a GAM.

    Attributes:
        backbone: of the frame encoder, a name that `model.nn.bodies.make_body` knows.
        mask_backbone: of the mask encoder; the paper's is a ResNet-18.
        keys: C_N, over how many channels positions are told apart.
        values: C_M, channels of what is stored.
        width: channels of the decoder.
        fine: channels of its last stage, at a quarter of the input's size.
        channel_attention: whether there is CAM (table 1).
        likeness: how alike two channels are for it: "product" as in eq 4, or "cosine", times the
            root of their number, as it was before; then its share (eq 7) may be negative, too.
        mask_embedding: whether there is MEM (table 2).
    """

    backbone: str
    mask_backbone: str = "resnet18"
    keys: int = 128
    values: int = 512
    width: int = 256
    fine: int = 256
    channel_attention: bool = True
    likeness: Literal["product", "cosine"] = "product"
    mask_embedding: bool = True


CONFIGURATIONS = {
    "gam": GAMConfig("resnet50"),
    "gam-small": GAMConfig("resnet18", values=256, width=128, fine=64, likeness="cosine"),
    "gam-lite": GAMConfig(
        "efficientnet-lite0", "efficientnet-lite0", values=256, width=128, fine=64
    ),
}


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss term: `l1` within the segmentation loss, and `jaccard` beside it."""

    l1: float = 0.8
    jaccard: float = 1.0


# Pictures that are made to move first, then clips, as in the paper of GAM, section 4.2; with
# another optimiser, for its fixed rate of 1e-5 is for weights that know ImageNet and COCO.
# Here the backbones begin as that of weights that come with the project.
_GAM_RECIPE = Recipe(
    "gam",
    engine="gam",
    configuration="gam-small",
    samples=RUNS,
    size=256,
    batch_size=4,
    image_steps=0,
    video_steps=1,
    optimiser="adamw",
    backbone_rate=1e-4,
    rate=5e-4,
    weight_decay=0.05,
    decay=1.0,
    imagenet=False,
    body_of="pdnet-small",
    freeze_statistics=True,
    average=0.999,
    losses=LossWeights(),
    further=("gam-small",),
)

RECIPES = (
    _GAM_RECIPE,
    # The same on a body that knows ImageNet, for frames and for frames with masks.
    replace(
        _GAM_RECIPE,
        name="gam-lite",
        configuration="gam-lite",
        imagenet=True,
        body_of="",
        average=0.998,
        further=("gam", "gam-lite"),
    ),
)

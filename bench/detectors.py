"""Detectors for object-detection recipes, which name them as `detectors:…`; weights are of others' training."""

from __future__ import annotations

import os

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

STAGES = ((4, 24, 48), (8, 48, 96), (4, 96, 192))
"""Blocks, and channels before and after, of ShuffleNetV2 at the width of FastestDet."""

LEFT = ("detect_head.obj_layers.", "detect_head.cls_layers.conv5x5.3.", "detect_head.cls_layers.conv5x5.4.")
"""Weights that are not taken over: of objectness, and of what names the classes."""

RARE = -4.6
"""A new classifier's bias: every place begins at a probability of 1 % (Lin et al. 2017, arXiv 1708.02002, section
4.1)."""


def pointwise(before: int, after: int) -> list[nn.Module]:
    """A convolution of one pixel, normalised."""
    return [nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)]


def depthwise(channels: int, side: int, stride: int = 1) -> list[nn.Module]:
    """A convolution of each channel by itself, normalised."""
    conv = nn.Conv2d(channels, channels, side, stride, side // 2, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


class Block(nn.Module):
    """A unit of ShuffleNetV2 (Ma et al. 2018, arXiv 1807.11164, figure 3): half of the channels pass, half are
    convolved; of the first unit of a stage all are convolved twice, at half of the resolution.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.whole, middle, read = stride == 2, after // 2, before if stride == 2 else before // 2
        self.branch_main = nn.Sequential(
            *pointwise(read, middle),
            nn.ReLU(),
            *depthwise(middle, 3, stride),
            *pointwise(middle, after - read),
            nn.ReLU(),
        )
        if self.whole:
            self.branch_proj = nn.Sequential(*depthwise(before, 3, stride), *pointwise(before, before), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape [rows, after, height / stride, width / stride]."""
        passing, read = (self.branch_proj(x), x) if self.whole else (x[:, ::2], x[:, 1::2])
        return torch.cat([passing, self.branch_main(read)], 1)


class Backbone(nn.Module):
    """ShuffleNetV2 without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for number, (blocks, before, after) in enumerate(STAGES, 2):
            units = [Block(before, after, 2), *(Block(after, after, 1) for _ in range(blocks - 1))]
            setattr(self, f"stage{number}", nn.Sequential(*units))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What the stages see, at an 8th, a 16th and a 32nd of the resolution."""
        x, found = self.maxpool(self.first_conv(x)), list[torch.Tensor]()
        for stage in (self.stage2, self.stage3, self.stage4):
            x = stage(x)
            found.append(x)
        return found


class Pyramid(nn.Module):
    """FastestDet's neck: three depths of 5 by 5 convolutions, seen at once."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.Conv1x1 = nn.Module()
        self.Conv1x1.conv1x1 = nn.Sequential(*pointwise(before, after), nn.ReLU())
        for depth in (1, 2, 3):
            layers = [layer for _ in range(depth) for layer in (*depthwise(after, 5), nn.ReLU())]
            setattr(self, f"S{depth}", nn.Sequential(*layers))
        self.output = nn.Sequential(*pointwise(3 * after, after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape [rows, after, height, width]."""
        x = self.Conv1x1.conv1x1(x)
        return functional.relu(x + self.output(torch.cat([self.S1(x), self.S2(x), self.S3(x)], 1)))


class Head(nn.Module):
    """A 5 by 5 convolution of each channel, then numbers for each place."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(*depthwise(before, 5), nn.ReLU(), *pointwise(before, after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape [rows, after, height, width]."""
        return self.conv5x5(x)


class Heads(nn.Module):
    """What is said of each place: where something is, and what it is.

    FastestDet also says whether there is anything, and multiplies objectness and class; here a class says it all.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Module()
        self.conv1x1.conv1x1 = nn.Sequential(*pointwise(channels, channels), nn.ReLU())
        self.reg_layers, self.cls_layers = Head(channels, 4), Head(channels, classes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Before activation, four numbers of the box, and classes; each [rows, numbers, height, width]."""
        x = self.conv1x1.conv1x1(x)
        return self.reg_layers(x), self.cls_layers(x)


class FastestDet(nn.Module):
    """A detector of one level, a 16th of the resolution (https://github.com/dog-qiuqiu/FastestDet, 2022)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.avg_pool, self.upsample = nn.AvgPool2d(3, 2, 1), nn.Upsample(scale_factor=2, mode="nearest")
        self.SPP = Pyramid(sum(after for _, _, after in STAGES), STAGES[1][2])
        self.detect_head = Heads(STAGES[1][2], classes)

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """`logits`, [rows, places, classes], and `pred_boxes`, [rows, places, 4]: centre, width and height as shares of
        the picture's sides, which are multiples of 32 pixels.
        """
        fine, middle, coarse = self.backbone(pixel_values)
        seen = self.SPP(torch.cat([self.avg_pool(fine), middle, self.upsample(coarse)], 1))
        box, classes = self.detect_head(seen)
        height, width = box.shape[2:]
        columns = torch.arange(width, device=box.device).repeat(height)
        rows = torch.arange(height, device=box.device).repeat_interleave(width)
        sides = torch.tensor([width, height], device=box.device)
        box = box.flatten(2).transpose(1, 2)
        centres = (box[..., :2].tanh() + torch.stack([columns, rows], 1)) / sides
        return {
            "logits": classes.flatten(2).transpose(1, 2),
            "pred_boxes": torch.cat([centres, box[..., 2:].sigmoid()], 2),
        }


def fastestdet(weights: str, classes: int = 3) -> nn.Module:
    """FastestDet with the weights that were trained on COCO, but for what names the classes.

    Args:
        weights: Its safetensors; the path may name environment variables.
        classes: Answers.
    """
    net = FastestDet(classes)
    state = {name: each for name, each in load_file(os.path.expandvars(weights)).items() if not name.startswith(LEFT)}
    lacking, unknown = net.load_state_dict(state, strict=False)
    if unknown or not all(name.startswith(LEFT) for name in lacking):
        raise ValueError(f"{weights} must have the weights of FastestDet, but lacks {lacking} and has {unknown}")
    nn.init.constant_(net.detect_head.cls_layers.conv5x5[-1].bias, RARE)
    return net

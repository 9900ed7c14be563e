"""Networks of the recipes here, most of them with weights that others trained: recipes name them as `nets:…`."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from edgesft.data.media.audio import bands


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a convolution where the size changes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.shortcut = nn.Identity() if before == after else _padding(before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape [rows, after, height, width]."""
        found = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(found + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network for images of 32 by 32 (He et al. 2015, arXiv 1512.03385, section 4.2)."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = (16, 32, 64)
        for number, (before, after) in enumerate(zip((16, *widths), widths, strict=False), 1):
            sizes = [before, *[after] * (blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*(Block(size, after) for size in sizes)))
        self.linear = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, classes], of images of shape [rows, 3, 32, 32]."""
        found = functional.relu(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3):
            found = layer(found)
        return self.linear(found.mean((2, 3)))


def resnet(weights: str, blocks: int = 9, classes: int = 10) -> nn.Module:
    """ResNet-56, with nine blocks a stage, and others of its family.

    Args:
        weights: Safetensors of a network whose shortcuts pad with zeros; here they begin as convolutions that do so.
            The path may name environment variables.
        blocks: Blocks a stage.
        classes: Answers.
    """
    net = ResNet(blocks, classes)
    lacking, unknown = net.load_state_dict(load_file(os.path.expandvars(weights)), strict=False)
    if unknown or any(".shortcut." not in name for name in lacking):
        raise ValueError(f"{weights} must have the weights of this network, but lacks {lacking} and has {unknown}")
    return net


class Keywords(nn.Sequential):
    """The depthwise separable net of MLPerf Tiny's keyword spotting (Zhang et al. 2017, arXiv 1711.07128; Banbury et
    al. 2021, arXiv 2106.07597).
    """

    def __init__(self, classes: int, channels: int = 64, blocks: int = 4) -> None:
        stem = nn.Conv2d(1, channels, (10, 4), stride=2, padding=(5, 1), bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout(0.2)]
        for _ in range(blocks):
            deep = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
            point = nn.Conv2d(channels, channels, 1, bias=False)
            layers += [deep, nn.BatchNorm2d(channels), nn.ReLU(), point, nn.BatchNorm2d(channels), nn.ReLU()]
        pooled = [nn.Dropout(0.4), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, *pooled, nn.Linear(channels, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, classes], of cepstra of shape [rows, 1, 49, 10]."""
        return super().forward(x)


def keywords(classes: int = 10) -> nn.Module:
    """A net that nobody trained yet."""
    return Keywords(classes)


def mobilenet(folder: str, classes: int = 10) -> nn.Module:
    """A MobileNetV1 of transformers with a new head.

    Args:
        folder: Its configuration and weights; the path may name environment variables.
        classes: Answers.
    """
    from transformers import MobileNetV1Config, MobileNetV1ForImageClassification

    place = Path(os.path.expandvars(folder))
    config = MobileNetV1Config.from_pretrained(place)
    config.num_labels = classes
    net = MobileNetV1ForImageClassification(config)
    state = load_file(place / "model.safetensors")
    net.load_state_dict({name: tensor for name, tensor in state.items() if "classifier" not in name}, strict=False)
    return net


class Plain(nn.Sequential):
    """Convolutions of 3 by 3 in pairs, each pair twice as wide as the one before and followed by pooling (VGG: Simonyan
    and Zisserman 2014, arXiv 1409.1556), with batch normalisation and the mean over the picture before the classifier.
    """

    def __init__(self, channels: int, classes: int, width: int = 32, pairs: int = 3) -> None:
        layers: list[nn.Module] = []
        before = channels
        for pair in range(pairs):
            for _ in range(2):
                layers += [nn.Conv2d(before, width << pair, 3, padding=1, bias=False), nn.BatchNorm2d(width << pair)]
                layers.append(nn.ReLU())
                before = width << pair
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(before, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, classes], of pictures of shape [rows, channels, height, width]."""
        return super().forward(x)


def plain(classes: int = 10, channels: int = 1) -> nn.Module:
    """A net of the VGG type that nobody trained yet."""
    return Plain(channels, classes)


def vit(classes: int = 10, channels: int = 1, side: int = 28, patch: int = 7) -> nn.Module:
    """A small vision transformer of transformers that nobody trained yet (Dosovitskiy et al. 2020, arXiv 2010.11929).

    Args:
        classes: Answers.
        channels: Of a picture.
        side: Its pixels; a whole number of patches.
        patch: Pixels of a patch's side.
    """
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.0}
    config = ViTConfig(image_size=side, patch_size=patch, num_channels=channels, num_labels=classes, **sizes, **dropout)
    return ViTForImageClassification(config)


class Hearing(nn.Module):
    """The convolutions of Google's speech embedding (Lin et al. 2020, arXiv 2002.01322), which openWakeWord listens
    with, and a head on the mean of what they say in time.

    They read 32 bands from 60 to 3,800 Hz of 25 ms every 10; 76 frames at least.
    """

    WIDTHS, POOLS = (24, 48, 72, 96, 96), ((2, 2), (1, 2), (2, 2), (1, 2), (2, 2))
    RATE, FFT, BANDS, LOW, HIGH, AREA = 16000, 512, 32, 60.0, 3800.0, 0.0318
    """How its own bands are made: each has that sum of weights."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # Its features are of logarithms to base 10, of samples as 16-bit numbers: log10(power) + 2.
        height = torch.from_numpy(bands(self.RATE, self.FFT, self.BANDS, self.LOW, self.HIGH).sum(0)).float()
        self.register_buffer("offset", torch.log10(self.AREA / height) + 2 * torch.log10(torch.tensor(32768.0)) + 2)
        self.stem, self.norm = nn.Conv2d(1, 24, 3, padding=(0, 1), bias=False), nn.BatchNorm2d(24, eps=1e-3)
        layers: list[nn.Module] = []
        before = 24
        for stage, (width, pool) in enumerate(zip(self.WIDTHS, self.POOLS, strict=True)):
            for pair in range(1 if stage == 0 else 2):
                along = nn.Conv2d(width if pair else before, width, (1, 3), padding=(0, 1))
                layers += [along, Leak(), nn.Conv2d(width, width, (3, 1)), Leak()]
            layers.append(nn.MaxPool2d(pool))
            before = width
        self.body = nn.Sequential(*layers, nn.Conv2d(before, 96, (3, 1), bias=False))
        self.leak, self.head = Leak(), nn.Linear(96, classes)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Shape [rows, 96, 1 + (frames - 76) // 8, 1] of its own features, [rows, 1, frames, 32]."""
        return self.body(self.leak(self.norm(functional.relu(self.stem(features)))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, classes], of logarithms of power in bands, [rows, 1, frames, 32]."""
        return self.head(self.embed(x * 0.4342945 + self.offset).mean((2, 3)))


class Leak(nn.Module):
    """A leaky ReLU that ends at -0.4."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        return functional.leaky_relu(x, 0.2).clamp(min=-0.4)


def hearing(weights: str, classes: int = 10) -> nn.Module:
    """The speech embedding with a new head.

    Args:
        weights: Its ONNX file; the path may name environment variables.
        classes: Answers.
    """
    import onnx

    graph, net = onnx.load(os.path.expandvars(weights)).graph, Hearing(classes)
    values = {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in graph.initializer}
    said = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    (norm,) = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "BatchNormalization"]
    kinds = (net.stem, *(each for each in net.body if isinstance(each, nn.Conv2d)))
    with torch.no_grad():
        for layer, (weight, *bias) in zip(kinds, said, strict=True):
            layer.weight.copy_(weight)
            if bias:
                layer.bias.copy_(bias[0])
        fields = (net.norm.weight, net.norm.bias, net.norm.running_mean, net.norm.running_var)
        for field, value in zip(fields, norm, strict=True):
            field.copy_(value)
    return net


def _padding(before: int, after: int) -> nn.Module:
    """Every second pixel, with as many channels of zeros on both sides as are lacking."""
    found = nn.Conv2d(before, after, 1, stride=2, bias=False)
    with torch.no_grad():
        found.weight.zero_()
        for channel in range(before):
            found.weight[(after - before) // 2 + channel, channel] = 1
    return found

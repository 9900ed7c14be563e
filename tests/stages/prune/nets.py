"""Small convolutional nets, one for each way that channels are tied to each other."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Layout


class Net(nn.Module):
    """Images of 3 channels to 4 classes; `widths` are what a subclass makes of 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.classifier = nn.Linear(16, 4)
        self.build()

    def build(self) -> None:
        raise NotImplementedError

    def features(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.classifier(self.features(self.stem(x)).mean((2, 3)))}


def conv(before: int, after: int, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, **options), nn.BatchNorm2d(after), nn.ReLU())


class Plain(Net):
    def build(self) -> None:
        self.body = nn.Sequential(conv(16, 24), conv(24, 16))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Residual(Net):
    def build(self) -> None:
        self.first, self.second = conv(16, 24), nn.Conv2d(24, 16, 3, padding=1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Shuffled(Net):
    """Units of ShuffleNetV2: half of the channels pass, half are convolved, and both are put together one by one."""

    def build(self) -> None:
        units = [nn.Sequential(conv(8, 12), conv(12, 12, groups=12), conv(12, 8)) for _ in range(5)]
        self.units = nn.ModuleList(units)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        for unit in self.units:
            x = torch.cat([x[:, ::2], unit(x[:, 1::2])], 1)
        return x


class Twice(Net):
    """What a convolution reads is a width beside itself, seen through a depthwise one."""

    def build(self) -> None:
        self.deep, self.join = conv(16, 16, groups=16), conv(32, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(torch.cat([x, self.deep(x)], 1))


class Branches(Net):
    """Branches whose whole width may go: before a normalisation, and over a depthwise convolution."""

    def build(self) -> None:
        self.one = nn.Sequential(conv(16, 24, bias=False), nn.Conv2d(24, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.two = nn.Sequential(conv(16, 24), conv(24, 24, groups=24), nn.Conv2d(24, 16, 1), nn.BatchNorm2d(16))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(x + self.one(x))
        return x + self.two(x)


class Depthwise(Net):
    def build(self) -> None:
        self.deep, self.point = conv(16, 16, groups=16), conv(16, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.point(self.deep(x))


class Concat(Net):
    def build(self) -> None:
        self.left, self.right, self.join = conv(16, 8), conv(16, 12), conv(20, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(torch.cat([self.left(x), self.right(x)], 1))


class Split(Net):
    def build(self) -> None:
        self.both, self.one, self.other = conv(16, 24), conv(12, 16), conv(12, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.both(x).chunk(2, 1)
        return self.one(one) + self.other(other)


class Grouped(Net):
    def build(self) -> None:
        self.groups, self.after = conv(16, 16, groups=4), conv(16, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.groups(x))


class Tied(Net):
    def build(self) -> None:
        self.shared = conv(16, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.shared(self.shared(x))


class Flattened(Net):
    def build(self) -> None:
        self.body, self.head = conv(16, 8), nn.Linear(8 * 16, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.head(self.body(x).flatten(1)))[:, :, None, None]


class Chain(Net):
    """Layers in a row: without an activation, over a depthwise convolution, and with a stride."""

    def build(self) -> None:
        self.linear = nn.Sequential(nn.Conv2d(16, 24, 1, bias=False), nn.Conv2d(24, 16, 3, padding=1))
        self.point, self.deep = conv(16, 16), conv(16, 16, groups=16)
        self.next, self.far = conv(16, 12), nn.Conv2d(12, 16, 3, stride=2, padding=1)
        self.last = nn.Conv2d(16, 16, 1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        found = self.next(self.deep(self.point(torch.relu(self.linear(x)))))
        return self.last(torch.relu(self.far(found)))


class Gated(Net):
    """Squeeze and excitation by linears, whose products scale the channels that they read the mean of."""

    def build(self) -> None:
        self.body, self.down, self.up = conv(16, 16), nn.Linear(16, 8), nn.Linear(8, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))[:, :, None, None]


class Normed(Net):
    """A weight that is made of two others at every call."""

    def build(self) -> None:
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 24, 3, padding=1))
        self.after, self.last = conv(24, 24), conv(24, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.after(self.normed(x)))


class Recurrent(Net):
    def build(self) -> None:
        self.body, self.over, self.out = conv(16, 24), nn.GRU(24, 20, batch_first=True), nn.Linear(20, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.over(self.body(x).flatten(2).transpose(1, 2))[0]).transpose(1, 2)[:, :, :, None]


class Shared(Net):
    """Two layers of one weight."""

    def build(self) -> None:
        self.one, self.two = (nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        self.two.weight = self.one.weight
        self.body = nn.Sequential(conv(16, 24), conv(24, 16))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(torch.relu(self.two(torch.relu(self.one(x)))))


class Fused(Net):
    """torch's own encoder layer, which reads the weights of its layers itself where nothing is trained."""

    def build(self) -> None:
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(2).transpose(1, 2)).transpose(1, 2)[:, :, :, None]


ALL = (Plain, Residual, Branches, Depthwise, Concat, Split, Grouped, Tied, Flattened)


class Attending(nn.Module):
    """Attention over a sequence and a feed-forward part in one module, which calls its number of heads by any name."""

    def __init__(self, count: str, *, gated: bool = False) -> None:
        super().__init__()
        setattr(self, count, 4)
        self._count, self._gated = count, gated
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.up, self.gate, self.down = nn.Linear(32, 64), nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (part(x).unflatten(-1, (getattr(self, self._count), -1)) for part in (self.query, self.key, self.value))
        query, key, value = (part.transpose(1, 2) for part in parts)
        read = functional.softmax(query @ key.transpose(2, 3) / 3, -1) @ value
        x = x + self.out(read.transpose(1, 2).flatten(2))
        wide = functional.gelu(self.up(x))
        return x + self.down(wide * self.gate(x) if self._gated else wide)


class Sequence(nn.Module):
    """Rows of 3 channels by 16 places to 4 classes."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.stem, self.body, self.classifier = nn.Linear(3, 32), body, nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.classifier(self.body(self.stem(x.flatten(2).transpose(1, 2))).mean(1))}


class Convolved(Net):
    """Attention between places, of convolutions."""

    def build(self) -> None:
        self.num_heads = 4
        self.query, self.key, self.value, self.out = (nn.Conv2d(16, 16, 1) for _ in range(4))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (part(x).view(len(x), 4, -1, 16) for part in (self.query, self.key, self.value))
        read = value @ functional.softmax(query.transpose(2, 3) @ key, -1).transpose(2, 3)
        return x + self.out(read.reshape(len(x), -1, 4, 4))


class Late(nn.Module):
    """What is added to the stream is registered before what begins it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(16, 24), nn.Conv2d(24, 16, 3, padding=1), nn.BatchNorm2d(16)) for _ in range(2)
        )
        self.stem, self.classifier = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return {"logits": self.classifier(x.mean((2, 3)))}


class Stiff(Net):
    """Its code has a number of channels in it."""

    def build(self) -> None:
        self.first, self.second = conv(16, 24), nn.Conv2d(24, 16, 3, padding=1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(self.first(x).reshape(-1, 24, 4, 4)))


def build(kind: type[Net]) -> Net:
    """With weights, biases and statistics that all matter."""
    torch.manual_seed(0)
    net = kind().eval()
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.2)
    return net


def inputs(rows: int = 2) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(rows, 3, 4, 4, generator=torch.Generator().manual_seed(rows))}


def logits(outputs: Any) -> torch.Tensor:
    found: torch.Tensor = outputs["logits"]
    return found


def layout_of(net: nn.Module) -> Layout:
    return find_widths(net, trace(net, inputs(), logits))


def answers(net: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return logits(copy.deepcopy(net).eval()(**inputs(4)))

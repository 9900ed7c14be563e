"""Networks for sound that comes frame by frame, with weights that others trained: recipes name them as `speech:…`.

Each takes frames and the states before them, and gives frames and the states after them: all of a sound at once, or
one frame at a time with its states fed back, which comes to the same. States are zeros where they are left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

HELD = (2, 4, 10)
"""Frames that the three dilated convolutions of GTCRN's encoder, and those of its decoder, look back."""


class Looking(nn.Module):
    """Grouped temporal convolution: half of the channels through a depthwise convolution over time, then all shuffled.

    The subband features of the paper (each frequency with its two neighbours) and the pointwise convolution behind
    them are one convolution of width 3.
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.point_conv1 = nn.Conv2d(8, 16, (1, 3), padding=(0, 1))
        self.point_bn1, self.point_act = nn.BatchNorm2d(16), nn.PReLU()
        self.depth_conv = nn.Conv2d(16, 16, 3, padding=(0, 1), dilation=(dilation, 1), groups=16)
        self.depth_bn, self.depth_act = nn.BatchNorm2d(16), nn.PReLU()
        self.point_conv2, self.point_bn2 = nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8)
        self.att_gru, self.att_fc = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 8)

    def forward(
        self, x: torch.Tensor, held: torch.Tensor, attention: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What it makes of frames, the frames that it looks back at next, and the state of its attention.

        Args:
            x: Shape [rows, 16, frames, 33].
            held: Frames before them, shape [rows, 16, 2 · dilation, 33].
            attention: Shape [rows, 16].
        """
        changed, kept = x.chunk(2, dim=1)
        seen = self.point_act(self.point_bn1(self.point_conv1(changed)))
        seen = torch.cat([held, seen], dim=2)
        held = seen[:, :, -held.shape[2] :]
        found = self.depth_act(self.depth_bn(self.depth_conv(seen)))
        found = self.point_bn2(self.point_conv2(found))
        energy = found.square().mean(-1).transpose(1, 2)
        weights, state = self.att_gru(energy, attention[None])
        found = found * torch.sigmoid(self.att_fc(weights)).transpose(1, 2)[..., None]
        return torch.stack([found, kept], dim=2).flatten(1, 2), held, state[0]


class Halves(nn.Module):
    """A recurrent layer of two, each for half of what is read and said (grouped RNN)."""

    def __init__(self, size: int, *, both_ways: bool) -> None:
        super().__init__()
        width = size // 4 if both_ways else size // 2
        self.rnn1 = nn.GRU(size // 2, width, batch_first=True, bidirectional=both_ways)
        self.rnn2 = nn.GRU(size // 2, width, batch_first=True, bidirectional=both_ways)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes [rows, steps, size] and [directions, rows, size / directions], before and after."""
        (left, right), (one, other) = x.chunk(2, dim=-1), state.chunk(2, dim=-1)
        (left, one), (right, other) = self.rnn1(left, one.contiguous()), self.rnn2(right, other.contiguous())
        return torch.cat([left, right], dim=-1), torch.cat([one, other], dim=-1)


class DualPath(nn.Module):
    """Recurrent over frequencies in each frame, then over frames in each frequency."""

    def __init__(self, bands: int = 33, size: int = 16) -> None:
        super().__init__()
        self.intra_rnn, self.inter_rnn = Halves(size, both_ways=True), Halves(size, both_ways=False)
        self.intra_fc, self.inter_fc = nn.Linear(size, size), nn.Linear(size, size)
        self.intra_ln, self.inter_ln = (nn.LayerNorm((bands, size), eps=1e-8) for _ in range(2))

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes [rows, 16, frames, 33] and [rows, 33, 16], before and after."""
        rows, size, frames, bands = x.shape
        x = x.permute(0, 2, 3, 1)
        found = x.reshape(rows * frames, bands, size)
        found, _ = self.intra_rnn(found, found.new_zeros(2, rows * frames, size // 2))
        x = x + self.intra_ln(self.intra_fc(found).reshape(rows, frames, bands, size))
        found = x.transpose(1, 2).reshape(rows * bands, frames, size)
        found, state = self.inter_rnn(found, state.reshape(1, rows * bands, size))
        found = self.inter_fc(found).reshape(rows, bands, frames, size).transpose(1, 2)
        return (x + self.inter_ln(found)).permute(0, 3, 1, 2), state.reshape(rows, bands, size)


class Halving(nn.Module):
    """A convolution over frequencies by steps of two, or its transpose."""

    def __init__(self, before: int, after: int, groups: int = 1, *, back: bool = False, last: bool = False) -> None:
        super().__init__()
        kind = nn.ConvTranspose2d if back else nn.Conv2d
        self.conv = kind(before, after, (1, 5), stride=(1, 2), padding=(0, 2), groups=groups)
        self.bn, self.act = nn.BatchNorm2d(after), nn.Tanh() if last else nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half of the frequencies, or twice as many."""
        return self.act(self.bn(self.conv(x)))


class GTCRN(nn.Module):
    """Speech enhancement by a complex mask (Rong et al. 2024, ICASSP, "GTCRN: A Speech Enhancement Model Requiring
    Ultralow Computational Resources"): 512-point spectra every 256 samples at 16 kHz, square-root Hann.
    """

    states: Mapping[str, tuple[int, ...]] = {
        "conv_cache": (16, 2 * sum(HELD), 33),
        "tra_cache": (2 * len(HELD), 16),
        "inter_cache": (2, 33, 16),
    }

    def __init__(self) -> None:
        super().__init__()
        self.erb_fc, self.ierb_fc = nn.Linear(192, 64, bias=False), nn.Linear(64, 192, bias=False)
        self.encoder = nn.ModuleList([Halving(9, 16), Halving(16, 16, 2), *(Looking(held // 2) for held in HELD)])
        self.dpgrnn1, self.dpgrnn2 = DualPath(), DualPath()
        turned = [Looking(held // 2) for held in reversed(HELD)]
        self.decoder = nn.ModuleList([*turned, Halving(16, 16, 2, back=True), Halving(16, 2, back=True, last=True)])

    def forward(
        self,
        frames: torch.Tensor,
        conv_cache: torch.Tensor | None = None,
        tra_cache: torch.Tensor | None = None,
        inter_cache: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Cleaner spectra, and the states after them.

        Args:
            frames: Real and imaginary parts, shape [rows, frames, 257, 2].
            conv_cache: What convolutions look back at, shape [rows, 16, 32, 33]: first the encoder's.
            tra_cache: Of the attentions, shape [rows, 6, 16].
            inter_cache: Of the recurrence over frames, shape [rows, 2, 33, 16].
        """
        rows = frames.shape[0]
        conv, tra, inter = (
            frames.new_zeros(rows, *self.states[name]) if given is None else given
            for name, given in zip(self.states, (conv_cache, tra_cache, inter_cache), strict=True)
        )
        held = iter(conv.split([*HELD, *reversed(HELD)], dim=2))
        attended = iter(tra.unbind(1))
        looked, paid, skipped = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()

        def through(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
            if not isinstance(layer, Looking):
                return layer(x)
            x, seen, state = layer(x, next(held), next(attended))
            looked.append(seen)
            paid.append(state)
            return x

        x = self._features(frames)
        for layer in self.encoder:
            x = through(layer, x)
            skipped.append(x)
        x, first = self.dpgrnn1(x, inter[:, 0])
        x, second = self.dpgrnn2(x, inter[:, 1])
        for layer in self.decoder:
            x = through(layer, x + skipped.pop())
        mask = torch.cat([x[..., :65], self.ierb_fc(x[..., 65:])], dim=-1)
        states = torch.cat(looked, dim=2), torch.stack(paid, dim=1), torch.stack([first, second], dim=1)
        return _masked(frames, mask), *states

    def _features(self, frames: torch.Tensor) -> torch.Tensor:
        """Magnitude, real and imaginary part of each band with its two neighbours, shape [rows, 9, frames, 129]."""
        real, imaginary = frames.unbind(-1)
        x = torch.stack([(frames.square().sum(-1) + 1e-12).sqrt(), real, imaginary], dim=1)
        x = functional.pad(torch.cat([x[..., :65], self.erb_fc(x[..., 65:])], dim=-1), (1, 1))
        return torch.stack([x[..., :-2], x[..., 1:-1], x[..., 2:]], dim=2).flatten(1, 2)


def _masked(frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Complex product of spectra [rows, frames, 257, 2] and a mask [rows, 2, frames, 257]."""
    (real, imaginary), (cosine, sine) = frames.unbind(-1), mask.unbind(1)
    return torch.stack([real * cosine - imaginary * sine, imaginary * cosine + real * sine], dim=-1)


def gtcrn(weights: str = "") -> nn.Module:
    """GTCRN, 24 thousand parameters that learn and the two fixed matrices of its bands.

    Args:
        weights: Safetensors of the authors' module; the path may name environment variables. Without them it starts
            anew.
    """
    net = GTCRN()
    if weights:
        from safetensors.torch import load_file

        net.load_state_dict(_as_here(load_file(os.path.expandvars(weights))))
    for layer in (net.erb_fc, net.ierb_fc):
        layer.requires_grad_(False)
    return net


def _as_here(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The authors' weights by the names, and in the shapes, of the modules here.

    Their decoder transposes convolutions that have a stride of 1: those are convolutions with the kernel turned round.
    """
    found = {}
    for name, tensor in state.items():
        own = name.removeprefix("erb.").replace("en_convs.", "").replace("de_convs.", "").replace(".tra.", ".")
        turned = name.startswith("decoder") and any(part in name for part in ("point_conv", "depth_conv"))
        if turned and name.endswith("weight"):
            tensor = tensor.flip(2, 3) if "depth" in name else tensor.transpose(0, 1)
        if own.endswith("point_conv1.weight"):
            tensor = tensor.reshape(16, 8, 1, 3)
        found[own] = tensor.contiguous()
    return found


class DTLN(nn.Module):
    """Speech enhancement by two masks (Westhausen and Meyer 2020, arXiv 2005.07551): on the magnitudes of a frame's
    spectrum, then on what a learned transform makes of the frame. 512 samples every 128 at 16 kHz, without a taper.

    Reads spectra and gives samples: the inverse transform in its midst is one with the linear layer behind it.
    """

    states: Mapping[str, tuple[int, ...]] = {"hidden": (4, 128), "cell": (4, 128)}

    def __init__(self) -> None:
        super().__init__()
        sizes = (257, 128, 256, 128)
        self.recurrent = nn.ModuleList([nn.LSTM(size, 128, batch_first=True) for size in sizes])
        self.mask1, self.mask2 = nn.Linear(128, 257), nn.Linear(128, 256)
        self.encode, self.decode = nn.Linear(514, 256, bias=False), nn.Linear(256, 512, bias=False)
        self.norm = nn.LayerNorm(256, eps=1e-7)

    def forward(
        self, frames: torch.Tensor, hidden: torch.Tensor | None = None, cell: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Frames of cleaner samples, shape [rows, frames, 512], and the states after them.

        Args:
            frames: Real and imaginary parts, shape [rows, frames, 257, 2].
            hidden: Of the four recurrent layers, shape [rows, 4, 128].
            cell: The same.
        """
        rows = frames.shape[0]
        hidden, cell = (
            frames.new_zeros(rows, *self.states[name]) if given is None else given
            for name, given in (("hidden", hidden), ("cell", cell))
        )
        before = list(zip(hidden.unbind(1), cell.unbind(1), strict=True))
        after = list[tuple[torch.Tensor, torch.Tensor]]()

        def through(x: torch.Tensor) -> torch.Tensor:
            """The next two recurrent layers."""
            for _ in range(2):
                h, c = before[len(after)]
                x, (h, c) = self.recurrent[len(after)](x, (h[None], c[None]))
                after.append((h[0], c[0]))
            return x

        magnitudes = (frames.square().sum(-1) + 1e-12).sqrt()
        masked = frames * torch.sigmoid(self.mask1(through(magnitudes)))[..., None]
        encoded = self.encode(masked.flatten(2))
        found = self.decode(encoded * torch.sigmoid(self.mask2(through(self.norm(encoded)))))
        hidden, cell = (torch.stack(each, dim=1) for each in zip(*after, strict=True))
        return found, hidden, cell


def dtln(weights: str = "") -> nn.Module:
    """DTLN, a million parameters.

    Args:
        weights: Folder of the authors' two ONNX files; the path may name environment variables. Without it it starts
            anew.
    """
    net = DTLN()
    if weights:
        net.load_state_dict(_of_files(os.path.expandvars(weights)))
    return net


def _of_files(folder: str) -> dict[str, torch.Tensor]:
    """What the authors' files have, by the names here. Their answers are added up where frames overlap, four times."""
    import onnx

    known = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for name in ("model_1.onnx", "model_2.onnx")
        for tensor in onnx.load(Path(folder) / name).graph.initializer
    }

    def variable(name: str) -> torch.Tensor:
        return known[f"model_2/{name}/ReadVariableOp/resource:0"]

    found = {
        "mask1.weight": known["dense_2/kernel:0"].T,
        "mask1.bias": known["dense_2/bias:0"],
        "mask2.weight": known["model_2/dense_3/Tensordot/Reshape_1:0"].T,
        "mask2.bias": variable("dense_3/BiasAdd"),
        "norm.weight": variable("instant_layer_normalization_1/mul"),
        "norm.bias": variable("instant_layer_normalization_1/add_1"),
        "encode.weight": (known["conv1d_2/kernel:0"][..., 0].double() @ _inverse(512).T).float(),
        "decode.weight": 4 * known["conv1d_3/kernel:0"][..., 0],
    }
    for number in range(4):
        if number < 2:  # An operator, whose gates are in another order.
            layer = f"lstm_{number + 4}"
            parts = [known[f"{layer}_{part}"][0] for part in "WRB"]
            parts = [each.reshape(-1, 4, 128, *each.shape[1:])[:, [0, 2, 3, 1]] for each in parts]
            inward, recurrent, biases = parts[0].flatten(0, 2), parts[1].flatten(0, 2), parts[2].reshape(2, 512)
            bias, other = biases
        else:
            layer = f"lstm_{number + 4}"
            inward, recurrent = variable(f"{layer}/MatMul").T, variable(f"{layer}/MatMul_1").T
            bias, other = variable(f"{layer}/BiasAdd"), torch.zeros(512)
        found |= {f"recurrent.{number}.weight_ih_l0": inward, f"recurrent.{number}.weight_hh_l0": recurrent}
        found |= {f"recurrent.{number}.bias_ih_l0": bias, f"recurrent.{number}.bias_hh_l0": other}
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _inverse(window: int) -> torch.Tensor:
    """The inverse transform of real and imaginary parts by turns as a matrix, shape [window + 2, window]."""
    units = torch.eye(window + 2, dtype=torch.float64).reshape(-1, window // 2 + 1, 2)
    return torch.fft.irfft(torch.view_as_complex(units), n=window)

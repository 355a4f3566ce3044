"""The networks for photographs beside PyTorch's modules, put together as torchvision does: the same keys and logits."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from peers.compare import torch

from cnn_from_scratch.formats import load_state_dict, save_safetensors
from cnn_from_scratch.models import IMAGENET_MODELS, IMAGENET_PARAMETERS

nn, F = torch.nn, torch.nn.functional


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int, downsample: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, block: Any, counts: list[int]) -> None:
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self.make_layer(block, 64, counts[0], 1)
        self.layer2 = self.make_layer(block, 128, counts[1], 2)
        self.layer3 = self.make_layer(block, 256, counts[2], 2)
        self.layer4 = self.make_layer(block, 512, counts[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, 1000)

    def make_layer(self, block: Any, planes: int, count: int, stride: int) -> Any:
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            narrow = nn.Conv2d(self.inplanes, planes * block.expansion, 1, stride, bias=False)
            downsample = nn.Sequential(narrow, nn.BatchNorm2d(planes * block.expansion))
        blocks = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes * block.expansion
        blocks += [block(self.inplanes, planes, 1, None) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VGG(nn.Module):
    def __init__(self, letters: str, batch_norm: bool) -> None:
        super().__init__()
        layers: list[Any] = []
        channels = 3
        for letter in letters.split():
            if letter == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                conv = nn.Conv2d(channels, int(letter), 3, padding=1)
                layers += [conv, nn.BatchNorm2d(int(letter)), nn.ReLU()] if batch_norm else [conv, nn.ReLU()]
                channels = int(letter)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class ConvBNReLU(nn.Sequential):
    def __init__(self, inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(inp, oup, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(oup), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = inp * expand_ratio
        self.use_res_connect = stride == 1 and inp == oup
        layers: list[Any] = []
        if expand_ratio != 1:
            layers.append(ConvBNReLU(inp, hidden, 1))
        layers.append(ConvBNReLU(hidden, hidden, 3, stride, hidden))
        layers += [nn.Conv2d(hidden, oup, 1, 1, 0, bias=False), nn.BatchNorm2d(oup)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        features: list[Any] = [ConvBNReLU(3, 32, 3, 2)]
        settings = [
            *([1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1])
        ]
        channels = 32
        for t, c, n, s in settings:
            for i in range(n):
                features.append(InvertedResidual(channels, c, s if i == 0 else 1, t))
                channels = c
        features.append(ConvBNReLU(channels, 1280, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), (1, 1)), 1))


class Fire(nn.Module):
    def __init__(self, inplanes: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self, version: str) -> None:
        super().__init__()

        def pool() -> Any:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        first, *fires = [Fire(64 if version == "1_1" else 96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128)]
        fires += [Fire(256, 32, 128), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
        if version == "1_0":
            layers = [
                nn.Conv2d(3, 96, 7, 2),
                nn.ReLU(),
                pool(),
                first,
                *fires[:2],
                pool(),
                *fires[2:6],
                pool(),
                fires[6],
            ]
        else:
            layers = [
                nn.Conv2d(3, 64, 3, 2),
                nn.ReLU(),
                pool(),
                first,
                fires[0],
                pool(),
                *fires[1:3],
                pool(),
                *fires[3:],
            ]
        self.features = nn.Sequential(*layers)
        scores = nn.Conv2d(512, 1000, 1)
        self.classifier = nn.Sequential(nn.Dropout(0.5), scores, nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))

    def forward(self, x: Any) -> Any:
        return torch.flatten(self.classifier(self.features(x)), 1)


A = "64 M 128 M 256 256 M 512 512 M 512 512 M"
D = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"
PEERS = {
    "resnet18": lambda: ResNet(BasicBlock, [2, 2, 2, 2]),
    "resnet34": lambda: ResNet(BasicBlock, [3, 4, 6, 3]),
    "resnet50": lambda: ResNet(Bottleneck, [3, 4, 6, 3]),
    "vgg11": lambda: VGG(A, False),
    "vgg11_bn": lambda: VGG(A, True),
    "vgg16": lambda: VGG(D, False),
    "vgg16_bn": lambda: VGG(D, True),
    "mobilenet_v2": MobileNetV2,
    "squeezenet1_0": lambda: SqueezeNet("1_0"),
    "squeezenet1_1": lambda: SqueezeNet("1_1"),
}
QUICK = ("mobilenet_v2", "resnet18", "squeezenet1_0", "squeezenet1_1")
names = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name.startswith("vgg") else ()) for name in PEERS]
)


def peer(name: str, side: int) -> Any:
    """In evaluation mode, the statistics of batch norm those of noise: so numbers stay near 1 to the last layer."""
    torch.manual_seed(5)
    module = PEERS[name]()
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
    if norms:
        with torch.no_grad():
            module(torch.randn(4, 3, side, side))
    return module.eval()


def assert_same_logits(name: str, theirs: Any, side: int, path: Any, *, double: bool) -> None:
    ours = IMAGENET_MODELS[name](seed=1)
    torch.save(theirs.state_dict(), path)
    assert load_state_dict(ours, path) == ((), ())
    assert list(ours.params) == [key for key, _ in theirs.named_parameters()]
    assert list(ours.buffers) == [key for key, _ in theirs.named_buffers()]
    assert sum(p.numel() for p in theirs.parameters()) == IMAGENET_PARAMETERS[name]
    x = np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
        y = ours.predict(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        if double:
            expected = theirs.double()(torch.from_numpy(x).double()).numpy()
            y = ours.astype(np.float64).predict(x.astype(np.float64))
            np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@names
def test_keys_and_logits(name, tmp_path):
    assert_same_logits(name, peer(name, 64), 64, tmp_path / "weights.pth", double=not name.startswith("vgg"))
    gc.collect()  # half a GiB


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg11_bn"])
def test_vgg_in_float64(name, tmp_path):
    assert_same_logits(name, peer(name, 64), 64, tmp_path / "weights.pth", double=True)
    gc.collect()


def test_resnet18_at_its_own_size(tmp_path):
    assert_same_logits("resnet18", peer("resnet18", 224), 224, tmp_path / "weights.pth", double=True)


@pytest.mark.parametrize("name", QUICK)
def test_our_weights_load_there(name, tmp_path):
    from safetensors.torch import load_file

    ours, theirs = IMAGENET_MODELS[name](seed=3), PEERS[name]().eval()
    save_safetensors(ours, tmp_path / "ours.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    for key, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), (ours.params | ours.buffers)[key], err_msg=key)

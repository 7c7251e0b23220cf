"""Folding of batch norms into the convolutions before them, which a network for inference does not need apart."""

import copy
from itertools import pairwise
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy of a network of timm for inference without the batch norms that directly follow a convolution.

    A batch norm counts as following a convolution if it is the next child of the same module and has as many channels.
    Modules may run in another order than they are listed: compare the outputs of both networks.
    """
    folded = copy.deepcopy(network)
    for module in list(folded.modules()):
        for (_, first), (name, second) in pairwise(list(module.named_children())):
            if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)):
                continue
            norm: Any = second
            if first.out_channels == norm.num_features:
                statistics = (norm.running_mean, norm.running_var, norm.eps)
                first.weight, first.bias = fuse_conv_bn_weights(
                    first.weight, first.bias, *statistics, norm.weight, norm.bias
                )
                # timm's BatchNormAct2d contains the activation.
                setattr(module, name, nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity())
    return folded

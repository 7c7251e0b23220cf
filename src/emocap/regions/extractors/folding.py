"""Folding of batch norms into the convolutions before them, which a network for inference does not need apart."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy of a network of timm for inference without the batch norms that directly follow a convolution.

    A batch norm counts as following a convolution if it is the next child of the same module and has as many channels.
    Modules may run in another order than they are listed: compare the outputs of both networks.
    """
    folded = copy.deepcopy(network)
    for module in list(folded.modules()):
        for (_, convolution), (name, norm) in pairwise(list(module.named_children())):
            if (
                isinstance(convolution, nn.Conv2d)
                and isinstance(norm, nn.BatchNorm2d)
                and convolution.out_channels == norm.num_features
            ):
                weight, bias = fuse_conv_bn_weights(
                    convolution.weight,
                    convolution.bias,
                    norm.running_mean,
                    norm.running_var,
                    norm.eps,
                    norm.weight,
                    norm.bias,
                )
                convolution.weight, convolution.bias = weight, bias
                # timm's BatchNormAct2d contains the activation.
                setattr(module, name, nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity())
    return folded

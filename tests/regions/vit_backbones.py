"""Tiny real backbones of several types, with their image processors."""

import torch
import transformers

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


SIGHT = SMALL | {"image_size": 32, "patch_size": 8}


DINO = {
    key: SIGHT[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
}


TEXT = SMALL | {
    "vocab_size": 50,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "projection_size": 32,
}


SWIN = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1, 1],
    "num_heads": [1, 2, 2],
    "window_size": 4,
}


def two_towers(kind, **sight):
    config = getattr(transformers, f"{kind}Config")(text_config=TEXT, vision_config=SIGHT | sight)
    return getattr(transformers, f"{kind}Model")(config)


# For each type: the network, its image processor, its own grid, the number of tokens before the patches.
KINDS = {
    "vit": (
        lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**SIGHT)),
        lambda: transformers.ViTImageProcessor(size={"height": 32, "width": 32}),
        (4, 4),
        1,
    ),
    "clip": (
        lambda: two_towers("CLIP"),
        lambda: transformers.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
        (4, 4),
        1,
    ),
    "siglip": (
        lambda: two_towers("Siglip", image_size=35),
        lambda: transformers.SiglipImageProcessor(size={"height": 35, "width": 35}),
        (4, 4),
        0,
    ),
    "dinov2": (
        lambda: transformers.Dinov2Model(transformers.Dinov2Config(**DINO)),
        lambda: transformers.BitImageProcessor(),
        (4, 4),
        1,
    ),
    "registers": (
        lambda: transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**DINO)),
        lambda: transformers.BitImageProcessor(),
        (4, 4),
        5,
    ),
    "swin": (
        lambda: transformers.SwinModel(transformers.SwinConfig(**SWIN)),
        lambda: transformers.ViTImageProcessor(),
        (4, 4),
        0,
    ),
    "convnext": (
        lambda: transformers.ConvNextModel(
            transformers.ConvNextConfig(image_size=96, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1])
        ),
        lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 96}),
        (3, 3),
        None,
    ),
    "resnet": (
        lambda: transformers.ResNetModel(
            transformers.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic"
            )
        ),
        lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 64}),
        (2, 2),
        None,
    ),
}


def save(kind, folder, seed=0):
    torch.manual_seed(seed)
    network = KINDS[kind][0]().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # initial weights are near 0, and all images would have similar features
            parameter.add_(torch.randn_like(parameter) * 0.1)
    network.save_pretrained(folder)
    KINDS[kind][1]().save_pretrained(folder)
    return network

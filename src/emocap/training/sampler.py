"""The order of the training pairs, which depends on the seed and the epoch only."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class EpochSampler(Sampler[int]):
    """Row numbers in an order drawn from (seed, epoch), items of similar length next to each other.

    Args:
        lengths: one per row.
        batch_size: of the training.
        seed: of the order.
        numbered_by_epoch: the rows of epoch e are numbered from e * N, for items that change from epoch to epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, *, numbered_by_epoch: bool = False) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = list(lengths), batch_size, seed, 0
        self.numbered_by_epoch = numbered_by_epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        first = self.epoch * len(self.lengths) if self.numbered_by_epoch else 0
        return (first + row for row in get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))

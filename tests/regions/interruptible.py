"""A grid extractor that can be interrupted, and the contents of a store's folder."""

from emocap.regions.extractors.grid import GridExtractor


def file_names(folder):
    return sorted(file.name for file in folder.iterdir())


def file_contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


class Network(GridExtractor):
    """A grid extractor that runs in threads and small batches, like a network, and can be interrupted."""

    in_processes = False
    batch_size = 1

    def __init__(self, stop_after=None, **settings):
        super().__init__(dim=16, **settings)
        self.described = []
        self.stop_after = stop_after

    def describe(self, prepared, sizes):
        if self.stop_after is not None and len(self.described) >= self.stop_after:
            raise KeyboardInterrupt
        self.described += sizes
        return super().describe(prepared, sizes)

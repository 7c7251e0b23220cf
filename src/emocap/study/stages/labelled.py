"""The stage that trains a model on the labelled source's own emotions."""

from emocap.files import write_json
from emocap.study.stages.fitting import pretrain, start_at_frequencies
from emocap.study.training_unit import TrainingUnit
from emocap.training.resume import discard_checkpoints


def labelled(study: TrainingUnit) -> None:
    """Train a model on the labelled source's own emotions; its layers can be transferred to the target."""
    pairs, vocabulary, settings = study.pairs("labelled_source"), study.labelled_vocabulary, study.config.labelled
    targets = pairs.targets(vocabulary)
    model, tokenizer = study.fresh_model(study.config.seed + 3, vocabulary)
    start_at_frequencies(model, targets)
    training = study.dataset(tokenizer, pairs, "labelled_source", targets)
    history = pretrain(study, "labelled", model, training, settings, study.config.seed)
    study.save("labelled", model, tokenizer, vocabulary=vocabulary, frequencies=targets.mean(axis=0))
    write_json(study.folder("labelled") / "history.json", history)
    discard_checkpoints(study.folder("labelled"))

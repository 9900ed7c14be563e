from dataclasses import replace
from types import SimpleNamespace

import torch

from edgesft.spec.stages import PruneSpec
from edgesft.stages.prune import round as rounds
from edgesft.train import checkpoint
from edgesft.train.answers import Answers


def test_a_teacher_is_asked_once_by_trainings_on_the_same_batches(source, context, tmp_path, monkeypatch):
    asked = []

    def load_teacher(*_):
        teacher = checkpoint.load(source.path, context.task)
        teacher.register_forward_hook(lambda *_: asked.append(1))
        return teacher

    monkeypatch.setattr(rounds, "load_teacher", load_teacher)
    training = context.training.model_copy(update={"token_substitution": 0.3})
    context = replace(context, teacher=source, training=training)
    spec = PruneSpec(stage="prune", latency="auto")

    def recovered(known, place, start=None):
        """What a recovery makes of a student, from where another one ended."""
        bench = SimpleNamespace(spec=spec, contract=source.contract, context=context, known=known)
        model = checkpoint.load(source.path, context.task)
        if start is not None:
            model.load_state_dict(start)
        (tmp_path / place).mkdir(parents=True)
        rounds.recover(bench, model, replace(context, work=tmp_path / place))
        return model.state_dict()

    known, steps = Answers(), 2 * 3
    first = recovered(known, "first")
    assert len(asked) == steps
    # The student's own embeddings are others by now; the rows are changed by the teacher's.
    again = recovered(known, "again", first)
    assert len(asked) == steps
    alone = recovered(Answers(), "alone", first)
    assert len(asked) == 2 * steps
    assert all(torch.equal(again[name], alone[name]) for name in alone), "kept answers are the answers"

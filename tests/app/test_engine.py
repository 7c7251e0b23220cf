"""What waits goes through the model together; what is bad harms nobody else; what was accepted is finished."""

import asyncio
import threading

import numpy as np
import pytest

from emocap import EmocapError
from emocap.app.engine import Engine
from emocap.app.limits import Limits
from emocap.app.service import Busy, Service, TooSlow

LONG = 20.0


class Slow:
    """A predictor that waits until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[str]] = []

    def features(self, images):
        return list(images)

    def pair_probabilities(self, features, captions):
        self.go.wait(LONG)
        self.batches.append(list(captions))
        if "bad" in captions:
            raise EmocapError("a bad one")
        return np.array([[float(len(caption))] for caption in captions])


@pytest.fixture
def engine():
    made = Engine(Slow(), batch=4)
    yield made
    made._predictor.go.set()
    made.stop()


def asked(engine, *questions):
    """ModelPredictions to questions that are asked at once, while the first is being computed."""

    async def ask():
        first = asyncio.ensure_future(engine.probabilities(None, ["first"]))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(engine.probabilities(None, question)) for question in questions]
        await asyncio.sleep(0.05)
        engine._predictor.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(ask())


def test_questions_that_wait_share_batches_in_their_order_and_each_gets_its_own(engine) -> None:
    found = asked(engine, ["aa", "bbb"], ["c"], ["dddd", "e"], ["f"])
    assert engine._predictor.batches == [["first"], ["aa", "bbb", "c"], ["dddd", "e", "f"]]
    assert [rows.ravel().tolist() for rows in found] == [[5], [2, 3], [1], [4, 1], [1]]


def test_a_question_larger_than_a_batch_is_answered_alone(engine) -> None:
    found = asked(engine, ["a"], list("bcdefgh"), ["i"])
    assert engine._predictor.batches == [["first"], ["a"], list("bcdefgh"), ["i"]]
    assert found[2].shape == (7, 1)


def test_a_question_that_fails_harms_no_other_in_its_batch(engine) -> None:
    found = asked(engine, ["a"], ["bad"], ["cc"])
    assert found[1].tolist() == [[1]]
    assert found[3].tolist() == [[2]]
    with pytest.raises(EmocapError, match="a bad one"):
        raise found[2]


def test_other_work_takes_turns_with_batches(engine) -> None:
    """However much of it waits, a prediction waits for one piece of it at most."""

    async def ask():
        def batches_so_far():
            return len(engine._predictor.batches)

        first = asyncio.ensure_future(engine.probabilities(None, ["first"]))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(engine.run(batches_so_far)) for _ in range(3)]
        predictions = [asyncio.ensure_future(engine.probabilities(None, list("abc"))) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert engine.depth == 6
        engine._predictor.go.set()
        return (await asyncio.gather(first, *others, *predictions))[1:4]

    assert asyncio.run(ask()) == [1, 2, 3]
    assert engine.depth == 0


def test_stopping_finishes_what_waits() -> None:
    engine = Engine(Slow(), batch=4)

    async def ask():
        waiting = [asyncio.ensure_future(engine.probabilities(None, [name])) for name in ("a", "bb")]
        await asyncio.sleep(0.05)
        engine._predictor.go.set()
        await asyncio.get_running_loop().run_in_executor(None, engine.stop)
        return await asyncio.gather(*waiting)

    assert [rows.tolist() for rows in asyncio.run(ask())] == [[[1]], [[2]]]
    assert not engine.is_ready


@pytest.fixture
def service(served):
    def build(**limits):
        made.append(Service(served, Limits(**limits)))
        return made[-1]

    made: list[Service] = []
    yield build
    for one in made:
        one.stop()


def held(service):
    """Keeps the models busy until it is set."""
    let_go = threading.Event()
    return let_go, service._engine.run(lambda: let_go.wait(LONG))


def test_one_more_than_may_wait_is_refused_and_the_next_after_an_answer_is_not(service) -> None:
    service = service(waiting=3)

    async def ask():
        let_go, work = held(service)
        blocking = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        taken = [asyncio.ensure_future(service.predict(None, ["a dog"])) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert service.accepted == 3
        assert service.is_full
        with pytest.raises(Busy, match="too many requests are waiting already; ask again in a moment"):
            await service.predict(None, ["a dog"])
        let_go.set()
        await asyncio.gather(blocking, *taken)
        assert service.accepted == 0
        return await service.predict(None, ["a dog"])

    assert asyncio.run(ask())[0].caption == "a dog"


def test_an_answer_that_takes_too_long_is_given_up_and_its_place_is_free_when_its_work_is(service) -> None:
    service = service(waiting=2, seconds=0.2)

    async def ask():
        let_go, work = held(service)
        blocking = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        with pytest.raises(TooSlow, match=r"no answer within 0.2 s; ask for less, or again later"):
            await service.predict(None, ["a dog"])
        assert service.accepted == 1, "the work that holds it up still runs, what was given up waits no more"
        let_go.set()
        await blocking
        assert service.accepted == 0
        return await service.predict(None, ["a dog"])

    assert asyncio.run(ask())[0].caption == "a dog"


def test_explanations_and_writing_may_not_take_every_place(service) -> None:
    service = service(waiting=6, slow=1)

    async def ask():
        let_go, work = held(service)
        blocking = asyncio.ensure_future(work)
        explaining = asyncio.ensure_future(service.explain(None, "a dog"))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            await service.explain(None, "a dog")
        predicting = asyncio.ensure_future(service.predict(None, ["a dog"]))
        await asyncio.sleep(0.05)
        let_go.set()
        await asyncio.gather(blocking, explaining)
        return await predicting

    assert asyncio.run(ask())[0].caption == "a dog"


@pytest.mark.parametrize("name", ["bytes", "waiting", "seconds"])
def test_a_limit_of_nothing_is_refused(name) -> None:
    with pytest.raises(EmocapError, match=f"serve: {name} is 0, expected more than 0"):
        Limits(**{name: 0})

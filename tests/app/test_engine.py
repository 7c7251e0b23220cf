"""Waiting predictions share batches; a failing request fails alone; accepted requests are finished."""

import asyncio
import threading

import numpy as np
import pytest

from emocap import EmocapError
from emocap.app.engine import Engine
from emocap.app.limits import Limits
from emocap.app.service import DeadlineExceeded, ServerBusy, Service

LONG = 20.0


class BlockedPredictor:
    """A predictor that waits for the event `go`, and records its batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[str]] = []

    def features(self, images):
        return list(images)

    def pair_probabilities(self, features, captions):
        self.go.wait(LONG)
        self.batches.append(list(captions))
        if "bad" in captions:
            raise EmocapError("bad caption")
        return np.array([[float(len(caption))] for caption in captions])


@pytest.fixture
def engine():
    engine = Engine(BlockedPredictor(), batch=4)
    yield engine
    engine._predictor.go.set()
    engine.stop()


def results(engine, *requests):
    """Results of requests that are all made while a first one is being computed."""

    async def submit():
        first = asyncio.ensure_future(engine.probabilities(None, ["first"]))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(engine.probabilities(None, captions)) for captions in requests]
        await asyncio.sleep(0.05)
        engine._predictor.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(submit())


def test_waiting_requests_share_batches_in_order(engine) -> None:
    outputs = results(engine, ["aa", "bbb"], ["c"], ["dddd", "e"], ["f"])
    assert engine._predictor.batches == [["first"], ["aa", "bbb", "c"], ["dddd", "e", "f"]]
    assert [rows.ravel().tolist() for rows in outputs] == [[5], [2, 3], [1], [4, 1], [1]]


def test_request_larger_than_a_batch_runs_alone(engine) -> None:
    outputs = results(engine, ["a"], list("bcdefgh"), ["i"])
    assert engine._predictor.batches == [["first"], ["a"], list("bcdefgh"), ["i"]]
    assert outputs[2].shape == (7, 1)


def test_failing_request_fails_alone(engine) -> None:
    outputs = results(engine, ["a"], ["bad"], ["cc"])
    assert outputs[1].tolist() == [[1]]
    assert outputs[3].tolist() == [[2]]
    with pytest.raises(EmocapError, match="bad caption"):
        raise outputs[2]


def test_other_jobs_alternate_with_batches(engine) -> None:
    """However many wait, a prediction waits for at most one of them."""

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


def test_stop_finishes_waiting_jobs() -> None:
    engine = Engine(BlockedPredictor(), batch=4)

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
        services.append(Service(served, Limits(**limits)))
        return services[-1]

    services: list[Service] = []
    yield build
    for service in services:
        service.stop()


def blocker(service):
    """An event, and a job that blocks the engine until the event is set."""
    event = threading.Event()
    return event, service._engine.run(lambda: event.wait(LONG))


def test_rejects_requests_beyond_the_waiting_limit(service) -> None:
    service = service(waiting=3)

    async def ask():
        event, work = blocker(service)
        blocking = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        accepted = [asyncio.ensure_future(service.predict(None, ["a dog"])) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert service.accepted == 3
        assert service.is_full
        with pytest.raises(ServerBusy, match="too many requests are waiting; try again in a moment"):
            await service.predict(None, ["a dog"])
        event.set()
        await asyncio.gather(blocking, *accepted)
        assert service.accepted == 0
        return await service.predict(None, ["a dog"])

    assert asyncio.run(ask())[0].caption == "a dog"


def test_deadline_frees_the_place_once_work_ends(service) -> None:
    service = service(waiting=2, seconds=0.2)

    async def ask():
        event, work = blocker(service)
        blocking = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        with pytest.raises(DeadlineExceeded, match=r"no response within 0.2 s; send less, or try again later"):
            await service.predict(None, ["a dog"])
        assert service.accepted == 1, "the blocking job still runs, the cancelled request does not wait any more"
        event.set()
        await blocking
        assert service.accepted == 0
        return await service.predict(None, ["a dog"])

    assert asyncio.run(ask())[0].caption == "a dog"


def test_slow_requests_cannot_take_every_place(service) -> None:
    service = service(waiting=6, slow=1)

    async def ask():
        event, work = blocker(service)
        blocking = asyncio.ensure_future(work)
        explaining = asyncio.ensure_future(service.explain(None, "a dog"))
        await asyncio.sleep(0.05)
        with pytest.raises(ServerBusy):
            await service.explain(None, "a dog")
        predicting = asyncio.ensure_future(service.predict(None, ["a dog"]))
        await asyncio.sleep(0.05)
        event.set()
        await asyncio.gather(blocking, explaining)
        return await predicting

    assert asyncio.run(ask())[0].caption == "a dog"


@pytest.mark.parametrize("name", ["bytes", "waiting", "seconds"])
def test_rejects_limit_of_zero(name) -> None:
    with pytest.raises(EmocapError, match=f"serve: {name} is 0, expected more than 0"):
        Limits(**{name: 0})

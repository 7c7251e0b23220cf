"""Waiting predictions share batches; a failing request fails alone; accepted requests are finished."""

import asyncio
import threading
import time

import numpy as np
import pytest

from emocap import EmocapError
from emocap.app.engine import Abandoned, Engine
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

    def pair_outputs(self, features, captions):
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
        first = asyncio.ensure_future(engine.predict(None, ["first"]))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(engine.predict(None, captions)) for captions in requests]
        await asyncio.sleep(0.05)
        engine._predictor.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(submit())


def test_waiting_requests_share_batches_in_order(engine) -> None:
    outputs = results(engine, ["aa", "bbb"], ["c"], ["dddd", "e"], ["f"])
    assert engine._predictor.batches == [["first"], ["aa", "bbb", "c"], ["dddd", "e", "f"]]
    assert [rows.ravel().tolist() for rows, _ in outputs] == [[5], [2, 3], [1], [4, 1], [1]]


def test_request_larger_than_a_batch_runs_alone(engine) -> None:
    outputs = results(engine, ["a"], list("bcdefgh"), ["i"])
    assert engine._predictor.batches == [["first"], ["a"], list("bcdefgh"), ["i"]]
    assert outputs[2][0].shape == (7, 1)


def test_failing_request_fails_alone(engine) -> None:
    outputs = results(engine, ["a"], ["bad"], ["cc"])
    assert outputs[1][0].tolist() == [[1]]
    assert outputs[3][0].tolist() == [[2]]
    with pytest.raises(EmocapError, match="bad caption"):
        raise outputs[2]


def test_other_jobs_alternate_with_batches(engine) -> None:
    """However many wait, a prediction waits for at most one of them."""

    async def ask():
        def batches_so_far():
            return len(engine._predictor.batches)

        first = asyncio.ensure_future(engine.predict(None, ["first"]))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(engine.run(batches_so_far)) for _ in range(3)]
        predictions = [asyncio.ensure_future(engine.predict(None, list("abc"))) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert engine.depth == 6
        engine._predictor.go.set()
        return (await asyncio.gather(first, *others, *predictions))[1:4]

    assert asyncio.run(ask()) == [1, 2, 3]
    assert engine.depth == 0


def test_long_job_lets_predictions_run_between_steps(engine) -> None:
    """A prediction that arrives during a step is answered before the next one, and not only when the job ends."""
    order: list[str] = []
    arrived = [threading.Event() for _ in range(3)]

    def explain() -> None:
        for step, event in enumerate(arrived):
            order.append(f"step {step}")
            event.wait(LONG)
            engine.serve_waiting()

    async def predict(step: int) -> None:
        prediction = asyncio.ensure_future(engine.predict(None, ["a"]))
        await asyncio.sleep(0.05)
        arrived[step].set()
        await prediction
        order.append(f"prediction {step}")

    async def ask() -> None:
        explaining = asyncio.ensure_future(engine.run(explain))
        for step in range(len(arrived) - 1):
            await predict(step)
        assert not explaining.done(), "both predictions were answered before the job ended"
        arrived[-1].set()
        await explaining

    engine._predictor.go.set()
    asyncio.run(ask())
    assert order.index("prediction 0") < order.index("step 2")


def test_failing_prediction_does_not_end_the_long_job(engine) -> None:
    async def ask():
        started, go = threading.Event(), threading.Event()

        def explain() -> str:
            started.set()
            go.wait(LONG)
            engine.serve_waiting()
            return "explained"

        explaining = asyncio.ensure_future(engine.run(explain))
        await asyncio.to_thread(started.wait, LONG)
        bad = asyncio.ensure_future(engine.predict(None, ["bad"]))
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(explaining, bad, return_exceptions=True)

    engine._predictor.go.set()
    explained, error = asyncio.run(ask())
    assert explained == "explained"
    assert str(error) == "bad caption"


def test_abandoned_job_ends_at_its_next_step(engine) -> None:
    ended: list[BaseException] = []

    async def ask():
        started, cancelled = threading.Event(), threading.Event()

        def explain() -> None:
            started.set()
            cancelled.wait(LONG)
            try:
                engine.serve_waiting()
            except Abandoned as error:
                ended.append(error)
                raise

        explaining = asyncio.ensure_future(engine.run(explain))
        await asyncio.to_thread(started.wait, LONG)
        explaining.cancel()
        await asyncio.gather(explaining, return_exceptions=True)
        cancelled.set()
        return await engine.predict(None, ["aa"])

    engine._predictor.go.set()
    assert asyncio.run(ask())[0].tolist() == [[2]]
    assert ended


def test_times_of_jobs_exclude_what_runs_within() -> None:
    now = [0.0]

    class SlowPredictor(BlockedPredictor):
        def pair_outputs(self, features, captions):
            now[0] += 3.0
            return super().pair_outputs(features, captions)

    engine = Engine(SlowPredictor(), batch=4, clock=lambda: now[0])
    engine._predictor.go.set()

    async def ask() -> None:
        waiting: list[asyncio.Future] = []
        loop, submitted = asyncio.get_running_loop(), threading.Event()

        def submit() -> None:
            waiting.append(asyncio.ensure_future(engine.predict(None, ["a"])))
            loop.call_later(0.05, submitted.set)

        def explain() -> None:
            loop.call_soon_threadsafe(submit)
            submitted.wait(LONG)
            now[0] += 7.0
            engine.serve_waiting()

        await engine.run(explain)
        await asyncio.gather(*waiting)

    asyncio.run(ask())
    engine.stop()
    assert (engine.prediction_seconds, engine.other_seconds) == (3.0, 7.0)


def test_stop_finishes_waiting_jobs() -> None:
    engine = Engine(BlockedPredictor(), batch=4)

    async def ask():
        waiting = [asyncio.ensure_future(engine.predict(None, [name])) for name in ("a", "bb")]
        await asyncio.sleep(0.05)
        engine._predictor.go.set()
        await asyncio.get_running_loop().run_in_executor(None, engine.stop)
        return await asyncio.gather(*waiting)

    assert [rows.tolist() for rows, _ in asyncio.run(ask())] == [[[1]], [[2]]]
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
        with pytest.raises(ServerBusy, match="too many requests are waiting; try again in 1 s"):
            await service.predict(None, ["a dog"])
        event.set()
        await asyncio.gather(blocking, *accepted)
        assert service.accepted == 0
        return await service.predict(None, ["a dog"])

    assert asyncio.run(ask()).predictions[0].caption == "a dog"


def test_prediction_is_answered_within_an_explanation(service) -> None:
    """Of a long caption, whose explanation takes many passes: the prediction waits for one of them."""
    service = service()
    engine, serve_waiting = service._engine, service._engine.serve_waiting
    started, steps = threading.Event(), []

    def serve() -> None:
        started.set()
        while not steps and not engine._predictions:
            time.sleep(0.01)
        steps.append(len(engine._predictions))
        serve_waiting()

    engine.serve_waiting = serve

    async def ask():
        explaining = asyncio.ensure_future(service.explain(None, "the child celebrates at home " * 40))
        await asyncio.to_thread(started.wait, LONG)
        prediction = await service.predict(None, ["a dog"])
        assert not explaining.done()
        await explaining
        return prediction

    assert asyncio.run(ask()).predictions[0].caption == "a dog"
    assert steps[0] == 1
    assert len(steps) > 3
    assert not any(steps[1:])


def test_default_limits_answer_twenty_requests_at_once(service) -> None:
    service = service()

    async def ask():
        requests = [service.predict(None, [f"a dog {number}"]) for number in range(20)]
        return await asyncio.gather(*requests)

    assert [answer.predictions[0].caption for answer in asyncio.run(ask())] == [
        f"a dog {number}" for number in range(20)
    ]


def test_retry_after_follows_measured_time_and_depth(service, monkeypatch) -> None:
    service = service(waiting=3, slow=1)
    monkeypatch.setattr(service._engine, "prediction_seconds", 2.2)
    monkeypatch.setattr(service._engine, "other_seconds", 7.0)

    async def ask():
        event, work = blocker(service)
        blocking = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        accepted = [
            asyncio.ensure_future(request)
            for request in (service.explain(None, "a dog"), service.predict(None, ["a dog"]))
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(ServerBusy) as refused:
            await service.predict(None, ["a dog"])
        event.set()
        await asyncio.gather(blocking, *accepted)
        return refused.value, service.retry_after

    refused, afterwards = asyncio.run(ask())
    assert refused.retry_after == 12, "two at 2.2 s and an explanation at 7 s"
    assert refused.headers == {"retry-after": "12"}
    assert afterwards == 1


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

    assert asyncio.run(ask()).predictions[0].caption == "a dog"


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

    assert asyncio.run(ask()).predictions[0].caption == "a dog"


@pytest.mark.parametrize("name", ["bytes", "waiting", "seconds"])
def test_rejects_limit_of_zero(name) -> None:
    with pytest.raises(EmocapError, match=f"serve: {name} is 0, expected more than 0"):
        Limits(**{name: 0})

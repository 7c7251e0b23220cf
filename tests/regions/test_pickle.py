"""Untrusted pickles never run code."""

import pickle
import re
from collections import OrderedDict

import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features
from emocap.regions.interop.pickle import plain_pickle

from .layouts import FEATURES, fixed_hdf5, imported, lmdb_of, malicious_pickles, reasons, vilbert_item


@pytest.mark.parametrize("number", range(9))
def test_malicious_pickle_is_refused_and_not_run(tmp_path, number):
    trace = tmp_path / "trace"
    with pytest.raises(EmocapError, match=r"^the pickle ") as error:
        plain_pickle(malicious_pickles(trace)[number])
    assert "\n" not in str(error.value)
    assert not trace.exists()


def test_malicious_pickle_runs_with_standard_unpickler(tmp_path):
    pickle.loads(malicious_pickles(tmp_path / "trace")[0])
    assert (tmp_path / "trace").exists()


def test_allowed_type_cannot_run_code_or_change():
    assert plain_pickle(pickle.dumps(OrderedDict(a=1))) == {"a": 1}
    with pytest.raises(EmocapError, match="damaged"):
        plain_pickle(b"ccollections\nOrderedDict\n(dS'get'\nI1\nsb.")
    with pytest.raises(EmocapError, match="damaged"):
        plain_pickle(b"ccollections\nOrderedDict\n(N(dS'get'\nI1\nstb.")
    assert {}.get("a") is None


def test_refuses_malicious_pickles_in_files(tmp_path):
    trace = tmp_path / "trace"
    source = fixed_hdf5(tmp_path / "a.hdf5")
    (tmp_path / "a_imgid2idx.pkl").write_bytes(malicious_pickles(trace)[0])
    with pytest.raises(
        EmocapError, match=r"a_imgid2idx\.pkl: the pickle asks for '(posix|nt)\.system', which could run"
    ):
        import_features(source, tmp_path / "store")
    source = lmdb_of(tmp_path / "a.lmdb", {b"keys": malicious_pickles(trace)[1], b"42": vilbert_item()})
    with pytest.raises(EmocapError, match=r"its list of ids cannot be read: the pickle asks for 'builtins\.eval'"):
        import_features(source, tmp_path / "store")
    arrays = vilbert_item(features=FEATURES)
    source = lmdb_of(
        tmp_path / "b.lmdb",
        {b"1": malicious_pickles(trace)[2], b"2": arrays, b"3": pickle.dumps([1]), b"42": vilbert_item()},
    )
    report, store = imported(source, tmp_path / "store")
    assert store.images == ["42"]
    refused = [re.sub("'[^']*'", "X", reason).split(",")[0] for reason in reasons(report)]
    assert refused == ["the pickle asks for X", "boxes are of type str", "is a pickled list"]
    assert not trace.exists()

"""Untrusted pickles never run code."""

import operator
import pickle
import re
from collections import OrderedDict

import numpy as np
import pytest
from numpy._core.multiarray import _reconstruct, scalar
from numpy._core.numeric import _frombuffer

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features
from emocap.regions.interop.pickle import plain_pickle

from .layouts import FEATURES, Malicious, fixed_hdf5, imported, lmdb_of, malicious_pickles, reasons, vilbert_item


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


ARRAYS = {
    "c_order": FEATURES,
    "fortran_order": np.asfortranarray(FEATURES),
    "view": FEATURES[:, ::2],
    "axes": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    "big_endian": FEATURES.astype(">f4"),
    "half": FEATURES.astype("<f2"),
    "bytes": np.array([b"a", b"bc"]),
    "text": np.array(["a", "é"]),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 4)),
    "no_axes": np.array(3.5),
    "scalar": np.float32(2.5),
    "objects": np.array(["a", None], object),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("package", [b"numpy.core", b"numpy._core"])
def test_reads_arrays_of_each_numpy(package, name, protocol):
    data = pickle.dumps({"a": ARRAYS[name]}, protocol)
    renamed = re.sub(rb"numpy\._?core", package, data)
    if protocol >= 4:  # names with their lengths, frames with theirs
        renamed = re.sub(rb"\x95.{8}", b"", data, flags=re.DOTALL)
        for module in (b".multiarray", b".numeric"):
            old, new = b"numpy._core" + module, package + module
            renamed = renamed.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
    value = plain_pickle(renamed)["a"]
    assert np.asarray(value, None if name != "objects" else object).tolist() == ARRAYS[name].tolist()


def test_reads_arrays_of_python_2():
    content = "".join(f"\\x{byte:02x}" for byte in np.array([1.5, -200], "<f4").tobytes())
    data = (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt"
        f"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'{content}'\ntb."
    )
    assert plain_pickle(data.encode()).tolist() == [1.5, -200]


FLOAT = np.dtype("f4")
EMPTY = (np.ndarray, (0,), b"b")


@pytest.mark.parametrize(
    "value",
    [
        Malicious(_frombuffer, b"1234", FLOAT, (2,), "C"),
        Malicious(_frombuffer, b"1234", FLOAT, (1,), "K"),
        Malicious(_frombuffer, b"1234", FLOAT, (1,), "K", (1,)),
        Malicious(_frombuffer, b"12345678", np.dtype("O"), (1,), "C"),
        Malicious(scalar, FLOAT, b"12"),
        Malicious(scalar, np.dtype("O"), [1]),
        Malicious(np.dtype, "V8"),
        Malicious(np.dtype, "f4,O"),
        Malicious(np.dtype, {"names": ["a"], "formats": ["O"]}),
        Malicious(np.ndarray, (3,)),
        Malicious(np.load, "a.npy"),
        Malicious(getattr, "a", "upper"),
        Malicious(operator.attrgetter("a"), 1),
        np.array([1 + 2j]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, [("a", "f4")]),
        np.ma.array([1]),
        *(
            type("Array", (), {"__reduce__": lambda self, state=state: (_reconstruct, EMPTY, state)})()
            for state in [
                (1, (10**12,), FLOAT, False, b"1234"),
                (1, (-1,), FLOAT, False, b""),
                (1, (True,), FLOAT, False, b"1234"),
                (1, (1,), np.dtype("O"), False, b"12345678"),
                (1, (), np.dtype("O"), False, []),
                "state",
            ]
        ),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_refuses_what_is_no_array_of_numbers(value, protocol):
    with pytest.raises(EmocapError, match=r"^the pickle ") as error:
        plain_pickle(pickle.dumps({"a": value}, protocol))
    assert "\n" not in str(error.value)


def test_pickle_cannot_change_the_stand_ins():
    for name in (b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        with pytest.raises(EmocapError, match="damaged"):
            plain_pickle(name + b"(N(dS'_function'\nI1\nstb.")
    assert plain_pickle(pickle.dumps(FEATURES)).tolist() == FEATURES.tolist()


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

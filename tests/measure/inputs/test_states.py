from __future__ import annotations

import pytest

from edgesft.errors import InputError
from edgesft.measure.inputs import check_states, find_states
from edgesft.measure.replies import Value


def values(*described: tuple[str, tuple[int | str | None, ...]], dtype: str = "float32") -> tuple[Value, ...]:
    return tuple(Value(name, dtype, shape) for name, shape in described)


FRAME = ("mix", (1, 257, 1, 2))


@pytest.mark.parametrize(
    ("state", "output"),
    [
        ("conv_cache", "conv_cache_out"),
        ("state", "stateN"),
        ("state_in", "state_out"),
        ("stateIn", "stateOut"),
        ("h", "hn"),
        ("h0", "hn"),
        ("c_0", "c_n"),
        ("decoder.h", "decoder.h_out"),
        ("cached_key_0", "new_cached_key_0"),
        ("prev_hidden", "hidden"),
        ("initial_state", "final_state"),
        ("gru_1", "gru_1_out"),
    ],
)
def test_related_names_are_a_state(state: str, output: str) -> None:
    ins, outs = values(FRAME, (state, (2, 1, 16))), values(("enh", FRAME[1]), (output, (2, 1, 16)))
    assert find_states(ins, outs) == {state: output}


def test_real_models() -> None:
    ins = (*values(("input", ("batch", "sequence")), ("state", (2, "batch", 128))), Value("sr", "int64", ()))
    outs = values(("output", ("batch", 1)), ("stateN", ("AddstateN_dim_0", "batch", "AddstateN_dim_2")))
    assert find_states(ins, outs) == {"state": "stateN"}
    caches = [("conv_cache", (2, 1, 16)), ("tra_cache", (2, 3, 16)), ("inter_cache", (2, 1, 33))]
    outs = values(("enh", FRAME[1]), *((f"{name}_out", shape) for name, shape in caches))
    assert find_states(values(FRAME, *caches), outs) == {name: f"{name}_out" for name, _ in caches}


def test_several_layers_are_kept_apart() -> None:
    ins = values(FRAME, ("h_1", (1, 8)), ("h_2", (1, 8)))
    outs = values(("enh", FRAME[1]), ("h_2_out", (1, 8)), ("h_1_out", (1, 8)))
    assert find_states(ins, outs) == {"h_1": "h_1_out", "h_2": "h_2_out"}


@pytest.mark.parametrize(
    ("state", "output"),
    [
        (("input_3", (1, 2, 128, 2)), ("tf_op_layer_stack_2", (1, 2, 128, 2))),
        (("image", (1, 3, 8, 8)), ("image_out", (1, 3, 8, 8))),
        (("sample", (1, 4, 8, 8)), ("out_sample", (1, 4, 8, 8))),
        (("input", (1, 3, 8, 8)), ("output", (1, 3, 8, 8))),
        (("past_key_values.0.key", (1, 4, "past", 8)), ("present.0.key", (1, 4, "past + 1", 8))),
        (("cache", (1, 4, "past", 8)), ("cache_out", (1, 4, "past", 8))),
        (("state", (2, 1, 16)), ("state_out", (2, 1, 17))),
        (("state", (2, 1, 16)), ("state_out", (2, 16))),
    ],
)
def test_what_is_not_plainly_a_state(
    state: tuple[str, tuple[int | str, ...]], output: tuple[str, tuple[int | str, ...]]
) -> None:
    assert find_states(values(FRAME, state), values(("enh", FRAME[1]), output)) == {}


def test_types_must_be_equal_and_names_unique() -> None:
    frame = values(FRAME)
    assert find_states((*frame, *values(("state", (1, 2)))), values(("state_out", (1, 2)), dtype="float16")) == {}
    ins = values(FRAME, ("state", (1, 2)))
    assert find_states(ins, values(("state_out", (1, 2)), ("new_state", (1, 2)))) == {}


def test_a_model_has_an_input_that_is_no_state() -> None:
    assert find_states(values(("state", (1, 2))), values(("state_out", (1, 2)))) == {}


def test_given_pairs() -> None:
    ins = values(("input_2", (1, 1, 257)), ("input_3", (1, 2, 128, 2)), ("h", (1, "n", 8)))
    outs = (*values(("mask", (1, 1, 257)), ("stack_2", (1, 2, 128, 2))), Value("h_out", "float16", (1, 1, 8)))
    check_states({"input_3": "stack_2"}, ins, outs)
    with pytest.raises(InputError) as caught:
        check_states({"input_4": "stak_2", "input_3": "mask", "h": "h_out"}, ins, outs)
    assert [str(problem) for problem in caught.value.problems] == [
        "state 'input_4=stak_2' must name an input, got 'input_4'\n    Try: 'input_3'",
        "state 'input_4=stak_2' must name an output, got 'stak_2'\n    Try: 'stack_2'",
        "state 'input_3=mask' must be one value fed back, got shape [1, 1, 257] for [1, 2, 128, 2]",
        "state 'h=h_out' must be one value fed back, got float16 for float32",
    ]

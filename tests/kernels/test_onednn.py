"""Products by oneDNN are float32 products, and nothing that the user set is changed."""

import pytest
import torch

from conductance.kernels import onednn


@pytest.fixture(params=["ieee", "bf16"])
def chosen(request):
    """What the user has chosen for products, put back after the test."""
    matmul = torch.backends.mkldnn.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, request.param
    yield request.param
    matmul.fp32_precision = before


def test_the_users_choice_is_put_back(chosen):
    with pytest.raises(ZeroDivisionError), onednn.faster_products():
        raise ZeroDivisionError
    assert torch.backends.mkldnn.matmul.fp32_precision == chosen


@pytest.mark.parametrize("leaves_first", [0, 1])
def test_the_users_choice_is_put_back_whichever_of_two_threads_leaves_first(chosen, monkeypatch, leaves_first):
    monkeypatch.setattr(onednn, "serves", lambda: True)
    threads = onednn.faster_products(), onednn.float32_precision(torch.backends.mkldnn.matmul, "tf32")
    for each in threads:
        each.__enter__()
    for each in (threads[leaves_first], threads[1 - leaves_first]):
        each.__exit__(None, None, None)
    assert torch.backends.mkldnn.matmul.fp32_precision == chosen


def test_a_product_keeps_float32():
    a, b = torch.rand(70, 300), torch.rand(300, 90)
    with onednn.faster_products():
        found = a @ b
    torch.testing.assert_close(found.double(), a.double() @ b.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("amd", "rounds", "wanted"), [(True, True, False), (False, False, False)])
def test_a_processor_that_rounds_or_has_no_need_is_left_alone(monkeypatch, amd, rounds, wanted):
    monkeypatch.setattr(onednn, "_is_amd", lambda: amd)
    monkeypatch.setattr(onednn, "_rounds", lambda: rounds)
    onednn.serves.cache_clear()
    try:
        assert onednn.serves() is wanted
        with onednn.faster_products():
            assert torch.backends.mkldnn.matmul.fp32_precision != "bf16"
    finally:
        onednn.serves.cache_clear()

"""Which engine and how many cores one run takes."""

from __future__ import annotations

import pytest

from pneumo_edge import choice, engines, measure, plan, threads
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.choice import Choice, Trial
from pneumo_edge.errors import EngineError, MissingExtraError

ORDER = ["resnet50", "xception", "vgg16", "vgg19"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available", lambda: 8)


def trial(engine: choice.Measured, load: float, film: float, side: int = 1) -> Trial:
    return Trial(
        engine=engine,
        threads=8 // side,
        side_by_side=side,
        load_ms=load,
        film_ms=film,
        members_ms={},
        orders={"paper": ORDER} if side == 1 else {},
        y=[],
    )


def measured(bundle: Bundle) -> Choice:
    trials = [trial("cpu", 100, 20), trial("cpu", 100, 15, side=2), trial("gpu", 4000, 2)]
    return Choice(choice.key(bundle), "2026-11-22T00:00:00+00:00", trials, [])


def test_nothing_measured_is_the_first_engine_on_all_cores(bundle: Bundle) -> None:
    made = plan.make(bundle, "auto", None, films=1)
    first = engines.kind("auto").name
    assert made == plan.Plan(first, 1, 8, 1, None, None)


def test_what_was_measured_decides_and_auto_can_fall_back(bundle: Bundle) -> None:
    choice.write(measured(bundle), bundle)
    one = plan.make(bundle, "auto", None, films=1)
    assert (one.engine, one.threads, one.side_by_side, one.fallback) == ("cpu", 4, 2, None)
    many = plan.make(bundle, "auto", None, films=999)
    assert (many.engine, many.lanes, many.fallback) == ("gpu", 1, engines.kind("auto").name)
    named = plan.make(bundle, "gpu", None, films=999)
    assert (named.engine, named.fallback) == ("gpu", None)
    early = plan.make(bundle, "auto", None, films=1, early_exit="paper")
    assert (early.side_by_side, early.order) == (1, tuple(ORDER))
    assert plan.make(bundle, "auto", None, films=1, early_exit="screening").order is None


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 5, 8])
def test_films_share_the_cores(bundle: Bundle, cores: int) -> None:
    made = plan.make(bundle, "cpu", cores, films=2)
    assert made.lanes == min(cores, plan.LANES)
    assert 1 <= made.lanes * made.threads <= cores
    assert made.side_by_side == 1
    one = plan.make(bundle, "cpu", cores, films=1)
    early = plan.make(bundle, "cpu", cores, films=100, early_exit="paper")
    assert (one.lanes, one.threads) == (early.lanes, early.threads) == (1, cores)


@pytest.mark.parametrize("cores", [-1, 0, 9])
def test_threads_that_are_not_there_are_refused(bundle: Bundle, cores: int) -> None:
    with pytest.raises(EngineError, match=f"{cores} threads are not in the range 1 to 8"):
        plan.make(bundle, "cpu", cores, films=1)


def test_it_measures_once_and_only_where_that_pays(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def count(asked: Bundle) -> Choice:
        calls.append(asked.id)
        return measured(asked)

    monkeypatch.setattr(measure, "measure_all", count)
    plan.make(bundle, "auto", None, films=plan.MEASURE_FROM - 1)
    plan.make(bundle, "cpu", None, films=plan.MEASURE_FROM)
    assert calls == []
    assert plan.make(bundle, "auto", None, films=plan.MEASURE_FROM).engine == "gpu"
    assert plan.make(bundle, "auto", None, films=plan.MEASURE_FROM).engine == "gpu"
    assert calls == [bundle.id]
    assert "measuring" in capsys.readouterr().err


def test_a_measurement_that_fails_stops_no_batch(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Bundle) -> Choice:
        raise EngineError("no engine works here", "install one")

    monkeypatch.setattr(measure, "measure_all", fail)
    assert plan.make(bundle, "auto", None, films=plan.MEASURE_FROM).engine == "cpu"
    assert "warning: no engine works here" in capsys.readouterr().err


def test_an_engine_that_is_gone_is_replaced_under_auto_only(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = [kind for kind in engines.KINDS if not kind.installed()]
    if not absent:
        pytest.skip("every engine is installed")
    monkeypatch.undo()
    gone = plan.Plan(absent[0].name, 1, 1, 1, None, "cpu")
    ensemble = plan.open_ensemble(gone, bundle)
    assert ensemble.engine.name == "cpu"
    said = capsys.readouterr().err
    assert said.startswith(f"warning: the engine {absent[0].name} is not installed")
    assert "going on with the engine cpu" in said
    named = plan.Plan(absent[0].name, 1, 1, 1, None, None)
    with pytest.raises(MissingExtraError):
        plan.open_ensemble(named, bundle)

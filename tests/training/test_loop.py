"""Training and prediction of one fold: what is learned, what is repeated exactly, and what is said when it fails."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import Graph, GraphSpec
from gnnlib.graph.neighbors import find
from gnnlib.models.registry import build_model
from gnnlib.models.spec import ModelSpec
from gnnlib.training.devices import describe, resolve, training_cores
from gnnlib.training.loop import Batches, EpochReport, FitResult, FoldData, Prediction, fit, predict
from gnnlib.training.scaling import Scalers
from gnnlib.training.spec import RunSpec

CPU = torch.device("cpu")
N = 400


@cache
def planted() -> tuple[Graph, np.ndarray, np.ndarray]:
    """Points in a periodic box: the target of a node is its own feature plus the largest feature of its neighbours."""
    rng = np.random.default_rng(0)
    positions, box = rng.uniform(0, 10, (N, 3)), np.full(3, 10.0)
    spec = GraphSpec(radius=1.5, edge_features=("length",))
    found = find(positions, spec, box)
    graph = Graph(
        positions=positions,
        edge_index=found.edge_index,
        separations=found.separations,
        lengths=found.lengths,
        edge_features=found.lengths[:, None].astype(np.float32),
        edge_feature_names=("length",),
        row_ids=np.arange(N),
        spec=spec,
        box=box,
    )
    x = rng.normal(12.0, 0.5, (N, 1))
    largest = np.full(N, 11.0)
    np.maximum.at(largest, found.edge_index[1], x[found.edge_index[0], 0])
    return graph, x, x[:, 0] + largest + rng.normal(0, 0.05, N)


def run_spec(name: str = "attention", **fields: object) -> RunSpec:
    given = {
        "catalog": CatalogSpec(path="memory"),
        "graph": GraphSpec(radius=1.5),
        "model": ModelSpec(name=name, hidden=32, latent=16, heads=2),
        "target": "y",
        "features": ("x",),
        "epochs": 30,
    }
    return RunSpec.model_validate(given | fields)


def masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = np.arange(N) % 5
    return number >= 2, number == 1, number == 0


def trained(spec: RunSpec, **callbacks: object) -> tuple[torch.nn.Module, Scalers, FitResult]:
    graph, x, y = planted()
    train, validation, test = masks()
    seen, keep = graph.subgraph(~test), ~test
    scalers = Scalers.fit(seen, x[keep], y[keep], train[keep])
    data = FoldData.build(seen, x[keep], y[keep], train[keep], validation[keep], scalers)
    model = build_model(spec.model, 1, scalers.n_edge_features, seed=spec.seed)
    return model, scalers, fit(model, data, spec, CPU, **callbacks)


def predicted(spec: RunSpec) -> Prediction:
    graph, x, _ = planted()
    model, scalers, _ = trained(spec)
    return predict(model, graph, x, scalers, CPU)


@pytest.mark.parametrize("model", ["attention", "message_passing"])
def test_graph_models_find_what_the_neighbours_tell_and_pointwise_cannot(model: str) -> None:
    _, _, y = planted()
    test = masks()[2]

    def error(name: str) -> float:
        return float(np.std((predicted(run_spec(name)).mean - y)[test]))

    assert error(model) < 0.6 * error("pointwise")


def test_equal_seeds_give_equal_numbers_and_another_seed_does_not() -> None:
    spec = run_spec(epochs=5)
    one, same_seed, other = predicted(spec), predicted(spec), predicted(spec.model_copy(update={"seed": 1}))
    assert np.array_equal(one.mean, same_seed.mean) and np.array_equal(one.sigma, same_seed.sigma)
    assert not np.array_equal(one.mean, other.mean)


def test_dropout_follows_the_seed_and_leaves_the_global_random_state_alone() -> None:
    spec = run_spec(epochs=3, model=ModelSpec(hidden=16, latent=8, dropout=0.3))
    before = torch.get_rng_state()
    one, same_seed = predicted(spec), predicted(spec)
    assert np.array_equal(one.mean, same_seed.mean)
    assert torch.equal(before, torch.get_rng_state())


def test_reports_count_the_epochs_and_the_rate_rises_and_falls() -> None:
    reports: list[EpochReport] = []
    spec = run_spec(epochs=30)
    *_, result = trained(spec, on_epoch=reports.append)
    assert tuple(reports) == result.history
    assert [report.epoch for report in reports] == list(range(1, 31)) and {report.epochs for report in reports} == {30}
    rates = [report.learning_rate for report in reports]
    assert max(rates) == pytest.approx(spec.learning_rate, rel=1e-2) and rates[0] < max(rates) > rates[-1]
    assert all(np.isfinite([report.train_loss, report.validation_loss]).all() for report in reports)
    assert np.all(np.diff([report.seconds for report in reports]) >= 0)


def test_the_weights_of_the_best_validation_epoch_are_kept() -> None:
    spec = run_spec(epochs=60, learning_rate=0.03)  # far enough to fit the noise
    *_, result = trained(spec)
    losses = [report.validation_loss for report in result.history]
    assert result.best_epoch == 1 + int(np.argmin(losses)) < 60
    stop = StopAfter(result.best_epoch)
    *_, shorter = trained(spec, on_epoch=stop.count, should_stop=stop)
    assert shorter.stopped and shorter.state_dict.keys() == result.state_dict.keys()
    assert all(torch.equal(result.state_dict[key], shorter.state_dict[key]) for key in result.state_dict)


class StopAfter:
    """should_stop that says yes once `count` has been told of so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def count(self, report: EpochReport) -> None:
        self.left -= 1

    def __call__(self) -> bool:
        return self.left <= 0


def test_a_stop_is_honoured_before_the_next_step() -> None:
    stop = StopAfter(7)
    *_, result = trained(run_spec(), on_epoch=stop.count, should_stop=stop)
    assert result.stopped and len(result.history) == 7


@pytest.mark.parametrize("name", ["attention", "message_passing", "pointwise"])
@pytest.mark.parametrize("depth", [1, 2])
def test_batches_hold_every_training_row_once_with_the_outputs_of_the_whole_graph(name: str, depth: int) -> None:
    graph, x, y = planted()
    train, validation, _ = masks()
    scalers = Scalers.fit(graph, x, y, train)
    data = FoldData.build(graph, x, y, train, validation, scalers)
    model = build_model(ModelSpec(name=name, hidden=16, latent=8, depth=depth), 1, scalers.n_edge_features).eval()
    whole = model(data.x, data.edge_index, data.edge_attr)
    batches = list(Batches(data, model.reach, batch_size=64))
    assert len(batches) == len(Batches(data, model.reach, batch_size=64)) >= 16
    assert sum(len(batch.y) for batch in batches) == train.sum()
    assert sorted(torch.cat([batch.y for batch in batches]).flatten().tolist()) == sorted(
        data.y[data.train].flatten().tolist()
    )
    for batch in batches:
        output = model(batch.x, batch.edge_index, batch.edge_attr)
        row = [int((data.y == y).nonzero()[0, 0]) for y in batch.y]
        torch.testing.assert_close(output.mean[batch.rows], whole.mean[row])


def test_a_training_row_or_two_still_train() -> None:
    graph, x, y = planted()
    few = np.arange(N) < 2
    scalers = Scalers.fit(graph, x, y, few)
    data = FoldData.build(graph, x, y, few, np.zeros(N, dtype=bool), scalers)
    assert (
        len(fit(build_model(run_spec().model, 1, scalers.n_edge_features), data, run_spec(epochs=2), CPU).history) == 2
    )


def test_values_of_test_rows_cannot_reach_the_training() -> None:
    """Scalers and data see the training graph only; buffer rows are in the graph, and their targets are never used."""
    graph, x, y = planted()
    train, validation, _ = masks()
    spoiled = np.where(train | validation, y, np.nan)
    results = []
    for target in (y, spoiled):
        scalers = Scalers.fit(graph, x, target, train)
        data = FoldData.build(graph, x, target, train, validation, scalers)
        results.append(fit(build_model(run_spec().model, 1, scalers.n_edge_features), data, run_spec(epochs=3), CPU))
    one, other = (result.state_dict for result in results)
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_scaled_training_rows_have_zero_mean_and_unit_variance_and_come_back() -> None:
    graph, x, y = planted()
    train, validation, _ = masks()
    scalers = Scalers.fit(graph, x, y, train)
    data = FoldData.build(graph, x, y, train, validation, scalers)
    edges = data.edge_attr[torch.from_numpy(train[graph.edge_index].all(axis=0))]
    for values in (data.x[data.train], data.y[data.train], edges):
        torch.testing.assert_close(values.mean(dim=0), torch.zeros(values.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.std(dim=0, correction=0), torch.ones(values.shape[1]), atol=1e-4, rtol=0)
    np.testing.assert_allclose(scalers.target.inverse(data.y.numpy())[:, 0], y, rtol=1e-5)


def test_the_model_gets_the_logarithm_of_the_length_too() -> None:
    graph, x, y = planted()
    scalers = Scalers.fit(graph, x, y, np.ones(N, dtype=bool))
    logarithm = scalers.edge_attributes(graph)[:, -1].double().numpy()
    assert scalers.n_edge_features == 2
    assert np.corrcoef(logarithm, np.log(graph.lengths))[0, 1] == pytest.approx(1.0)


def test_edges_of_length_zero_stay_finite() -> None:
    graph, x, y = planted()
    lengths = graph.lengths.copy()
    lengths[:10] = 0.0
    spoiled = replace(graph, lengths=lengths, edge_features=lengths[:, None].astype(np.float32))
    assert Scalers.fit(spoiled, x, y, np.ones(N, dtype=bool)).edge_attributes(spoiled).isfinite().all()


def test_constant_features_and_graphs_without_edges_are_scaled_without_harm() -> None:
    graph, x, y = planted()
    bare = replace(
        graph,
        edge_index=graph.edge_index[:, :0],
        separations=graph.separations[:0],
        lengths=graph.lengths[:0],
        edge_features=graph.edge_features[:0],
    )
    features = np.column_stack([x, np.full(N, 3e9)])
    scalers = Scalers.fit(bare, features, y, np.ones(N, dtype=bool))
    data = FoldData.build(bare, features, y, *masks()[:2], scalers)
    assert not data.x[:, 1].any() and data.edge_attr.shape == (0, 2)


def test_weights_and_scalers_come_back_from_safetensors() -> None:
    graph, x, _ = planted()
    spec = run_spec(epochs=5)
    model, scalers, result = trained(spec)
    before = predict(model, graph, x, scalers, CPU)
    stored = load(save({**{f"model.{k}": v for k, v in result.state_dict.items()}, **scalers.state()}))
    again = build_model(spec.model, 1, scalers.n_edge_features, seed=99)
    again.load_state_dict({k.removeprefix("model."): v for k, v in stored.items() if k.startswith("model.")})
    after = predict(again, graph, x, Scalers.from_state(stored), CPU)
    assert np.array_equal(before.mean, after.mean) and np.array_equal(before.sigma, after.sigma)


def test_sigma_covers_the_errors_of_unseen_rows() -> None:
    _, _, y = planted()
    test = masks()[2]
    prediction = predicted(run_spec())
    assert 0.6 < np.std((y - prediction.mean)[test] / prediction.sigma[test]) < 1.6


def test_attention_is_that_of_the_graph_predicted_on() -> None:
    graph, _, _ = planted()
    (layer,) = predicted(run_spec(epochs=2)).attention
    assert np.array_equal(layer.edge_index.numpy(), graph.edge_index)


def test_without_validation_rows_the_last_weights_are_kept() -> None:
    graph, x, y = planted()
    everyone, nobody = np.ones(N, dtype=bool), np.zeros(N, dtype=bool)
    scalers = Scalers.fit(graph, x, y, everyone)
    data = FoldData.build(graph, x, y, everyone, nobody, scalers)
    result = fit(build_model(run_spec().model, 1, scalers.n_edge_features), data, run_spec(epochs=4), CPU)
    assert result.best_epoch == 0 and {report.validation_loss for report in result.history} == {None}


def test_a_loss_that_is_no_number_is_explained() -> None:
    graph, x, y = planted()
    train, validation, _ = masks()
    scalers = Scalers.fit(graph, x, y, train)
    data = FoldData.build(graph, x, y, train, validation, scalers)
    data = replace(data, x=torch.full_like(data.x, torch.inf))
    with pytest.raises(InputError, match="epoch 1: the loss is no longer a number; lower the learning rate"):
        fit(build_model(run_spec().model, 1, scalers.n_edge_features), data, run_spec(), CPU)


def test_memory_that_runs_out_is_explained() -> None:
    def out_of_memory(report: EpochReport) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(InputError, match="ran out of memory; use a smaller linking length"):
        trained(run_spec(), on_epoch=out_of_memory)


@pytest.mark.parametrize("where", ["features", "target"])
def test_missing_values_are_counted_and_refused(where: str) -> None:
    graph, x, y = planted()
    values = {"features": x.copy(), "target": y.copy()}
    values[where][:3] = np.nan
    with pytest.raises(InputError, match=f"3 training rows have missing or infinite values in the {where}"):
        Scalers.fit(graph, values["features"], values["target"], np.ones(N, dtype=bool))


def test_no_rows_to_train_on_is_refused() -> None:
    graph, x, y = planted()
    with pytest.raises(InputError, match="no row left to train on"):
        Scalers.fit(graph, x, y, np.zeros(N, dtype=bool))


def test_missing_features_at_prediction_are_refused() -> None:
    graph, x, _ = planted()
    model, scalers, _ = trained(run_spec(epochs=1))
    with pytest.raises(InputError, match="1 rows to predict"):
        predict(model, graph, np.where(np.arange(N)[:, None] == 7, np.nan, x), scalers, CPU)


def test_auto_finds_a_device_and_describes_it() -> None:
    device = resolve("auto")
    assert device.type in {"cpu", "cuda", "mps"} and describe(device)
    assert describe(resolve("cpu")).startswith("CPU, ")


def test_training_leaves_half_of_the_cores_to_others_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("gnnlib.training.devices.cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with training_cores():
        assert torch.get_num_threads() == 3 and describe(torch.device("cpu")) == "CPU, 3 threads"
    assert torch.get_num_threads() == before
    monkeypatch.setenv("OMP_NUM_THREADS", str(before))
    with training_cores():
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve("auto").type == "cpu"
    with pytest.raises(InputError, match=f"no usable '{name}' device"):
        resolve(name)
    with pytest.raises(InputError, match="no device 'tpu'"):
        resolve("tpu")


def test_patience_ends_a_training_that_gets_no_better() -> None:
    spec = run_spec(epochs=200, learning_rate=0.03, schedule="constant", patience=6)
    *_, result = trained(spec)
    losses = [report.validation_loss for report in result.history]
    assert len(losses) < 200 and not result.stopped
    assert result.best_epoch == 1 + int(np.argmin(losses)) == len(losses) - 6


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_rate_follows_the_schedule(schedule: str) -> None:
    *_, result = trained(run_spec(epochs=8, schedule=schedule))
    rates = [report.learning_rate for report in result.history]
    last = {"cosine": pytest.approx(0, abs=1e-4), "step": pytest.approx(0.01 / 25), "constant": pytest.approx(0.01)}
    assert rates[-1] == last[schedule] and rates == sorted(rates, reverse=True)


def test_reports_tell_throughput_and_memory() -> None:
    *_, result = trained(run_spec(epochs=2))
    for report in result.history:
        assert report.rows_per_s and report.edges_per_s and report.edges_per_s > report.rows_per_s
        assert report.memory and report.memory > 1e7


def test_a_shorter_clip_takes_smaller_steps() -> None:
    start = build_model(run_spec().model, 1, 2).state_dict()

    def moved(clip: float) -> float:
        spec = run_spec(epochs=1, clip=clip, weight_decay=0.0)
        state = trained(spec)[2].state_dict
        return sum(float((state[name] - value).abs().sum()) for name, value in start.items() if "sigma" not in name)

    # AdamW divides a common factor out, so what a clip changes is how much single steps weigh
    assert moved(1e-3) != moved(1.0)


def test_bfloat16_trains_to_nearly_the_same_error() -> None:
    _, _, y = planted()
    test = masks()[2]
    errors = [float(np.std((predicted(run_spec(amp=amp)).mean - y)[test])) for amp in (False, True)]
    assert errors[1] == pytest.approx(errors[0], rel=0.3)
    assert trained(run_spec(epochs=1, amp=True))[0].encode[0].weight.dtype == torch.float32


def test_a_compiled_model_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by Dynamo and run as traced, which needs no C++ compiler where the tests run."""
    real, calls = torch.compile, 0

    def traced(model: torch.nn.Module, dynamic: bool) -> object:
        def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
            def run(*arguments: object) -> object:
                nonlocal calls
                calls += 1
                return graph(*arguments)

            return run

        return real(model, dynamic=dynamic, backend=backend)

    monkeypatch.setattr(torch, "compile", traced)
    notes: list[str] = []
    *_, result = trained(run_spec(epochs=2, compile=True), note=notes.append)
    plain = trained(run_spec(epochs=2))[2]
    assert calls > 0 and notes == []
    for name, value in plain.state_dict.items():
        assert torch.allclose(result.state_dict[name], value, rtol=1e-5, atol=1e-6), name


def test_a_model_that_does_not_compile_runs_as_it_is_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: torch.nn.Module, dynamic: bool) -> object:
        def call(*arguments: object) -> object:
            raise NotImplementedError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    notes: list[str] = []
    *_, result = trained(run_spec(epochs=2, compile=True), note=notes.append)
    plain = trained(run_spec(epochs=2))[2]
    assert notes == ["The model could not be compiled (NotImplementedError) and runs as it is."]
    assert all(torch.equal(result.state_dict[name], value) for name, value in plain.state_dict.items())

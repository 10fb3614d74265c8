"""The training code of pytabkit, tabm and rtdl_num_embeddings runs in float64, and implementations must have the same losses.

Each problem runs the modules, the optimizer and the training loop of these packages for 20 steps, with recorded starting weights,
batches and dropout masks. `IMPLEMENTATIONS` has functions that get the problem and return the loss of each step, with their
relative tolerances. To compare another implementation, for example kernels, add such a function.
"""

from itertools import pairwise

import numpy as np
import pytest
import tabular_reference as reference
from tabular_training import kernel_losses, tabm_losses
from test_tabular_training import RESIDUAL, realmlp_problem

from fastbp._data.numeric_inputs import centered_bins
from fastbp._network.encoders import copy_encoder, piecewise_linear_encoder, plr_encoder
from fastbp._network.layer_kinds import LayerKinds

torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle: pip install torch")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the other packages

N_TRAIN, N_VALID, N_STEPS = 170, 40, 20


def reference_losses(problem):
    return reference.train(problem)[0]


# name: a function that gets a reference.Problem and returns the loss of each step, and its relative tolerance
IMPLEMENTATIONS = {"reference": (reference_losses, 1e-10)}


class Recorder:
    """Records the multipliers of dropout and the permutations that PyTorch draws, and makes PyTorch compute in float64."""

    def __init__(self, monkeypatch):
        self.masks = []
        real = torch.nn.functional.dropout

        def dropout(x, p=0.5, training=True, inplace=False):
            if training:  # the same draws give the mask and the result
                state = torch.random.get_rng_state()
                self.masks.append(to_numpy(real(torch.ones_like(x), p, True) > 0))
                torch.random.set_rng_state(state)
            return real(x, p, training)

        monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)

    def masks_of_steps(self, n_layers):
        return [self.masks[i : i + n_layers] for i in range(0, len(self.masks), n_layers)]


@pytest.fixture
def recorder(monkeypatch):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Recorder(monkeypatch)
    torch.set_num_threads(n_threads)
    torch.set_default_dtype(torch.float32)


def to_numpy(tensor):
    return tensor.detach().cpu().numpy().copy()


def table(n_rows, sizes, n_classes):
    """Return numeric columns, codes and targets. Column 2 is constant, and most values of column 3 are equal."""
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(n_rows, 4)) * [1, 100, 0, 1] + [0, 5, 3, 0]
    numeric[:, 3] = rng.random(n_rows) < 0.1
    codes = np.empty((n_rows, len(sizes)), int)
    for i, size in enumerate(sizes):
        codes[:, i] = rng.integers(i % 2, size, n_rows)  # odd columns have no missing values, which have the code 0
    signal = np.sin(numeric[:, 0]) + 0.01 * numeric[:, 1] + codes.sum(axis=1) % 3
    if n_classes:
        y = np.searchsorted(np.quantile(signal, np.arange(1, n_classes) / n_classes), signal + 0.1 * rng.normal(size=n_rows))
    else:
        y = 50 + 20 * signal + rng.normal(size=n_rows)
    return numeric, codes, y[:, None]


def as_dataset(numeric, codes, y, sizes, n_classes):
    """Return the data as pytabkit's models get them, with a split into training and validation rows."""
    pytest.importorskip("pytabkit", reason="pytabkit is an optional oracle: pip install pytabkit")
    from pytabkit.models.alg_interfaces.base import InterfaceResources, SplitIdxs
    from pytabkit.models.data.data import DictDataset, TensorInfo

    tensors = {name: torch.as_tensor(array) for name, array in (("x_cont", numeric), ("x_cat", codes), ("y", y))}
    infos = {
        "x_cont": TensorInfo(feat_shape=[numeric.shape[1]]),
        "x_cat": TensorInfo(cat_sizes=sizes) if sizes else TensorInfo(feat_shape=[0]),
        "y": TensorInfo(cat_sizes=[n_classes]) if n_classes else TensorInfo(feat_shape=[1]),
    }
    rows = torch.arange(N_TRAIN + N_VALID)[None]
    split = SplitIdxs(rows[:, :N_TRAIN], rows[:, N_TRAIN:], None, split_seed=1, sub_split_seeds=[2], split_id=0)
    return DictDataset(tensors, infos), split, InterfaceResources(n_threads=1, gpu_devices=[])


def check_losses(problem, losses):
    assert len(losses) == len(problem.batches) == N_STEPS
    assert len(set(losses)) >= N_STEPS - 1  # the learning rate of RealMLP is 0 in the first step
    for name, (implementation, rtol) in IMPLEMENTATIONS.items():
        np.testing.assert_allclose(implementation(problem), losses, rtol=rtol, atol=0, err_msg=name)


# RealMLP

BATCH, N_EPOCHS = 32, 4  # 5 batches per epoch: the last 10 rows of a permutation are left out
SIZES = [2, 3, 6, 9, 10, 14]  # numbers of codes, with that of missing values: one category, two, many


class TorchDraws:
    """Draws from the generator of PyTorch, as pytabkit draws."""

    def normal(self, shape):
        return to_numpy(torch.randn(shape))

    def uniform(self, shape):
        return to_numpy(torch.rand(shape))

    def integers(self, n, shape):
        return to_numpy(torch.randint(0, n, shape))

    def exponential(self, shape):
        return to_numpy(torch.distributions.Exponential(1.0).sample(shape))


def prepared(numeric, codes, sizes, max_one_hot, n_train):
    """Return prepared rows (scaled numeric columns, one-hot columns, codes) and the sizes of the columns of codes."""
    small = [i for i, size in enumerate(sizes) if size <= max_one_hot]
    large = [i for i, size in enumerate(sizes) if size > max_one_hot]
    X = np.column_stack([numeric, *(reference.one_hot(codes[:, i], sizes[i]) for i in small)])
    median, factor = reference.robust_scaling(X[:n_train])
    return np.column_stack([reference.smooth_clip(factor * (X - median)), codes[:, large]]), [sizes[i] for i in large]


NAMES = {"weight_1": "w1", "bias_1": "b1", "weight_2": "W2", "bias_2": "b2"}


def realmlp_weights(model):
    """Return the parameters of pytabkit's network by the names of the reference."""
    weights, n_tables = {}, 0
    for parameter in model.parameters():
        scope, value = str(parameter.context.scope), to_numpy(parameter)[0]
        place, kind = scope.split("/")[-2:]
        if place == "plr":
            name, value = f"pbld.{NAMES[kind]}", value if kind == "weight_2" else value[:, 0]
        elif kind == "emb":
            name, n_tables = f"embedding.{n_tables}.E", n_tables + 1
        elif kind == "scale":
            name, value = "scale.s", value[0]
        else:
            i = place.removeprefix("layer-")
            name = {"weight": f"dense.{i}.W", "bias": f"dense.{i}.b", "act": f"activation.{i}.alpha"}[kind]
            value = value if kind == "weight" else value[0]
        weights[name] = value
    return weights


class Trained:
    """Train RealMLP with pytabkit, and record starting weights, batches, losses and validation predictions."""

    def __init__(self, monkeypatch, recorder, preset, n_classes, with_codes, **changes):
        self.sizes = SIZES if with_codes else []
        self.numeric, self.codes, self.y = table(N_TRAIN + N_VALID, self.sizes, n_classes)
        dataset, split, resources = as_dataset(self.numeric, self.codes, self.y, self.sizes, n_classes)
        from pytabkit.models.data import data
        from pytabkit.models.sklearn.default_params import DefaultParams
        from pytabkit.models.training.lightning_modules import TabNNModule, pl

        self.config = getattr(DefaultParams, f"RealMLP_{preset}_{'CLASS' if n_classes else 'REG'}") | changes
        module = TabNNModule(**{**self.config, "n_epochs": N_EPOCHS, "batch_size": BATCH})
        module.compile_model(dataset, [split], resources)
        self.weights = realmlp_weights(module.model)
        self.losses, self.permutations, self.predictions, self.epoch_weights = [], [], [], []
        real_step, real_end, real_permutation = module.training_step, module.on_validation_epoch_end, data.batch_randperm

        def training_step(batch, batch_idx):
            loss = real_step(batch, batch_idx)
            self.losses.append(loss.item())
            return loss

        def on_validation_epoch_end():
            self.predictions.append(to_numpy(torch.cat(module.val_preds, dim=-2))[0])
            self.epoch_weights.append(realmlp_weights(module.model))
            real_end()

        def batch_randperm(*args, **kwargs):
            permutation = real_permutation(*args, **kwargs)
            self.permutations.append(to_numpy(permutation)[0])
            return permutation

        monkeypatch.setattr(module, "training_step", training_step)
        monkeypatch.setattr(module, "on_validation_epoch_end", on_validation_epoch_end)
        monkeypatch.setattr(data, "batch_randperm", batch_randperm)
        trainer = pl.Trainer(
            accelerator="cpu",
            callbacks=module.create_callbacks(),
            max_epochs=N_EPOCHS,
            enable_checkpointing=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_model_summary=False,
        )
        trainer.fit(model=module, train_dataloaders=module.train_dl, val_dataloaders=module.val_dl)
        (self.best_epoch,) = next(iter(module.fit_params[0]["best_indiv_stop_epochs"].values()))
        self.kept = realmlp_weights(module.model)
        self.losses = np.array(self.losses)
        n_dropouts = 3 if self.config.get("p_drop", 0.0) else 0
        self.masks = recorder.masks_of_steps(n_dropouts) if n_dropouts else [[]] * N_STEPS
        self.masks = [[mask[0] for mask in step] for step in self.masks]
        self.preset, self.n_classes = preset, n_classes

    def problem(self):
        X, tables = prepared(self.numeric, self.codes, self.sizes, self.config.get("max_one_hot_cat_size", np.inf), N_TRAIN)
        y = self.y[:, 0] if self.n_classes else (self.y - self.y[:N_TRAIN].mean()) / self.y[:N_TRAIN].std()
        batches = [permutation[i * BATCH : (i + 1) * BATCH] for permutation in self.permutations for i in range(N_TRAIN // BATCH)]
        return tables, reference.Problem(
            "realmlp",
            self.weights,
            X,
            y,
            batches,
            self.masks,
            n_steps=N_STEPS,
            learning_rate=self.config["lr"],
            weight_decay=self.config.get("wd", 0.0),
            dropout=self.config.get("p_drop", 0.0),
            smoothing=self.config.get("ls_eps", 0.0),
            activation=self.config["act"],
        )

    def check_predictions(self, problem):
        """Compare predictions of validation rows after each epoch, the last weights, and the epoch that is kept."""
        predictions, errors = [], []

        def predict(step, network):
            if (step + 1) % (N_TRAIN // BATCH) == 0:
                z = network.forward(problem.X[N_TRAIN:])
                train = self.y[:N_TRAIN]
                if not self.n_classes:
                    z = z * train.std() + train.mean()
                    z = np.clip(z, train.min(), train.max()) if self.preset == "TD" else z
                predictions.append(z)
                wrong = z.argmax(axis=1) != self.y[N_TRAIN:, 0]
                errors.append(wrong.mean() if self.n_classes else np.sqrt(((z - self.y[N_TRAIN:]) ** 2).mean()))

        _, network = reference.train(problem, predict)
        np.testing.assert_allclose(predictions, self.predictions, rtol=1e-9, atol=1e-9)
        for name, value in reference.weights_of(network).items():
            np.testing.assert_allclose(value, self.epoch_weights[-1][name], rtol=1e-7, atol=1e-9, err_msg=name)
        assert reference.best_epoch(errors, "last") + 1 == self.best_epoch
        for name, value in self.kept.items():
            np.testing.assert_array_equal(value, self.epoch_weights[self.best_epoch - 1][name])

    def check_starting_weights(self, tables, problem):
        """Compare the starting weights with those of the reference for equal draws."""
        from pytabkit.models.utils import combine_seeds

        torch.manual_seed(combine_seeds(2, 0))
        preset = self.preset.lower().replace("_", "-")
        n_outputs, n_numeric = self.n_classes or 1, self.numeric.shape[1]
        rows = problem.X[:N_TRAIN]
        expected = reference.initial_realmlp(
            rows, n_numeric, tables, [256] * 3, n_outputs, problem.activation, preset=preset, draws=TorchDraws()
        )
        assert expected.keys() == self.weights.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(value, self.weights[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("with_codes", [False, True], ids=["numeric", "mixed"])
@pytest.mark.parametrize("n_classes", [0, 2, 3], ids=["regression", "binary", "multiclass"])
@pytest.mark.parametrize("preset", ["TD_S", "TD"])
def test_kernels_have_the_losses_of_pytabkit(monkeypatch, recorder, preset, n_classes, with_codes):
    """Without dropout, because the kernels draw other masks; tests/test_tabular_training.py tests dropout."""
    trained = Trained(monkeypatch, recorder, preset, n_classes, with_codes, p_drop=0.0)
    losses, _ = kernel_losses(trained.problem()[1])
    np.testing.assert_allclose(losses, trained.losses, rtol=1e-8)


@pytest.mark.parametrize("with_codes", [False, True], ids=["numeric", "mixed"])
@pytest.mark.parametrize("n_classes", [0, 2, 3], ids=["regression", "binary", "multiclass"])
@pytest.mark.parametrize("preset", ["TD_S", "TD"])
def test_realmlp_has_the_losses_of_pytabkit(monkeypatch, recorder, preset, n_classes, with_codes):
    trained = Trained(monkeypatch, recorder, preset, n_classes, with_codes)
    tables, problem = trained.problem()
    trained.check_starting_weights(tables, problem)
    check_losses(problem, trained.losses)
    trained.check_predictions(problem)


# Residual connections, which pytabkit's RealMLP does not have: a network of PyTorch modules, trained by autograd and AdamW


class ResidualNetwork(torch.nn.Module):
    """RealMLP for numbers, without dropout, with the parameters of a `reference.Problem` under the same names."""

    ACTIVATIONS = {"selu": torch.nn.functional.selu, "mish": torch.nn.functional.mish}

    def __init__(self, problem):
        super().__init__()
        self.weights = torch.nn.ParameterDict({k.replace(".", " "): torch.tensor(v) for k, v in problem.weights.items()})
        self.activation = self.ACTIVATIONS[problem.activation]
        self.n_layers = sum(name.startswith("dense") and name.endswith("W") for name in self.weights)

    def embedded(self, x):
        w1, b1, W2, b2 = (self.weights[f"pbld {name}"] for name in ("w1", "b1", "W2", "b2"))
        numbers, others = x[:, : len(w1)], x[:, len(w1) :]
        e = torch.einsum("njh,jho->njo", torch.cos(2 * torch.pi * numbers[:, :, None] * w1 + b1), W2) + b2
        return torch.cat([e.flatten(1), numbers, others], dim=1)

    def forward(self, x):
        x = self.embedded(x) if "pbld w1" in self.weights else x
        x = x * self.weights["scale s"]
        for i in range(self.n_layers):
            W, b = self.weights[f"dense {i} W"], self.weights[f"dense {i} b"]
            z = torch.nn.functional.linear(x, W.T / W.shape[0] ** 0.5, b)
            if i == self.n_layers - 1:
                return z
            a = self.activation(z)
            if f"activation {i} alpha" in self.weights:
                a = torch.lerp(z, a, self.weights[f"activation {i} alpha"])
            x = a + x if i > 0 and a.shape == x.shape else a
        raise AssertionError

    def groups(self):
        """The parameters with their factors of the learning rate and of the weight decay, those of pytabkit."""
        factors = {"scale": (6.0, 36.0), "pbld": (0.1, 0.01), "activation": (0.1, 0.01)}
        for name, parameter in self.weights.items():
            of_rate, of_decay = (0.1, 0.0) if name.endswith(" b") else factors.get(name.split()[0], (1.0, 1.0))
            yield parameter, of_rate, of_decay


def torch_losses(problem):
    """The loss of each step of the `ResidualNetwork`."""
    network, losses = ResidualNetwork(problem), []
    parameters, rates, decays = zip(*network.groups(), strict=True)
    optimizer = torch.optim.AdamW([{"params": [parameter]} for parameter in parameters], betas=(0.9, 0.95))
    for step, rows in enumerate(problem.batches):
        t = step / problem.n_steps
        rate, decay = problem.learning_rate * reference.coslog(t), problem.weight_decay * reference.flat_cos(t)
        for group, of_rate, of_decay in zip(optimizer.param_groups, rates, decays, strict=True):
            group["lr"] = rate * of_rate
            group["weight_decay"] = decay * of_decay / of_rate  # PyTorch multiplies the decay by the learning rate of the group
        z, y = network(torch.as_tensor(problem.X[rows])), torch.as_tensor(problem.y[rows])
        if y.ndim == 2:
            loss = torch.nn.functional.mse_loss(z, y)
        else:
            loss = torch.nn.functional.cross_entropy(z, y, label_smoothing=problem.smoothing)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "two targets"])
@pytest.mark.parametrize("preset", ["td-s", "td"])
@pytest.mark.usefixtures("recorder")  # makes PyTorch compute in float64
def test_residual_connections_have_the_losses_of_torch(preset, task):
    problem = realmlp_problem(preset, task, with_codes=False, **RESIDUAL)
    problem = problem._replace(dropout=0.0, masks=[[None] * 4 * (preset == "td")] * problem.n_steps)
    losses = torch_losses(problem)
    check_losses(problem, losses)
    np.testing.assert_allclose(kernel_losses(problem)[0], losses, rtol=1e-8)


# TabM

MEMBERS, WIDTH = 4, 24
CODES = [3, 5]  # numbers of codes, including that of missing values


def one_hot_columns(codes):
    return np.column_stack([np.eye(size)[codes[:, i]] for i, size in enumerate(CODES)])


def tabm_weights(model):
    """Return the parameters of TabM by the names of the reference, of the module of pytabkit or of tabm."""
    weights = {}
    for name, parameter in model.named_parameters():
        value, last = to_numpy(parameter), name.split(".")[-1]
        if name.startswith("num_module.linear0."):
            weights[{"weight": "ple.w0", "bias": "ple.b0"}[last]] = value
        elif name == "num_module.periodic.weight":
            weights["plr.w"] = value
        elif name.startswith("num_module.linear."):
            place = "plr" if hasattr(model.num_module, "periodic") else "ple"
            weights[f"{place}.{'W' if last == 'weight' else 'b'}"] = value
        elif name in ("minimal_ensemble_adapter.weight", "backbone.affine.weight"):
            weights["adapter.s"] = value
        elif name.startswith("backbone.blocks."):
            new = {"weight": "W", "bias": "b"}.get(last, last)
            weights[f"block.{name.split('.')[2]}.{new}"] = value.T if new == "W" else value
        else:
            weights[{"output.weight": "head.V", "output.bias": "head.c"}[name]] = value
    if "ple.W" in weights:  # tabm stores the last bin of each column last, after the padding
        padded = weights["ple.W"]
        for j, b in enumerate(edges_of(model)):
            padded[j, [len(b) - 2, -1]] = padded[j, [-1, len(b) - 2]]
    return weights


def edges_of(model):
    """Return the edges of the bins of a piecewise-linear embedding, from its weights 1 / width and -left / width."""
    impl = model.num_module.impl
    edges = []
    for weight, bias in zip(to_numpy(impl.weight), to_numpy(impl.bias), strict=True):
        used = weight != 0
        edges.append(np.append(-bias[used] / weight[used], (1 - bias[used][-1]) / weight[used][-1]))
    return edges


def check_start(weights, with_embedding, n_numeric):
    """The members start from equal weights, except for one random factor of each member and feature, and the heads."""
    first = weights["adapter.s"] if "adapter.s" in weights else weights["block.0.r"]
    sizes = [weights["ple.w0"].shape[1] if "ple.w0" in weights else 1] * n_numeric
    if "plr.b" in weights:
        sizes = [weights["plr.b"].shape[1]] * n_numeric
    starts = np.concatenate([[0], np.cumsum(sizes + [s for s in CODES if first.shape[1] > sum(sizes)])])
    for start, stop in pairwise(starts):
        np.testing.assert_array_equal(first[:, start:stop], np.repeat(first[:, start : start + 1], stop - start, axis=1))
    assert (np.abs(first) == 1).all() != with_embedding
    for name, value in weights.items():
        if name.endswith((".r", ".s")) and name not in ("block.0.r", "adapter.s"):
            assert (value == 1).all()
        if name.startswith("block.") and name.endswith(".b"):
            assert (value == value.reshape(-1, value.shape[-1])[0]).all()
    if "ple.W" in weights:
        assert not weights["ple.W"].any()


@pytest.mark.parametrize("with_codes", [False, True], ids=["numeric", "mixed"])
@pytest.mark.parametrize("n_classes", [0, 3], ids=["regression", "multiclass"])
@pytest.mark.parametrize("embedding", ["none", "pwl"])
@pytest.mark.parametrize("arch", ["tabm", "tabm-mini"])
def test_tabm_has_the_losses_of_pytabkit(monkeypatch, recorder, arch, embedding, n_classes, with_codes):
    sizes = CODES if with_codes else []
    numeric, codes, y = table(N_TRAIN + N_VALID, sizes, n_classes)
    dataset, split, resources = as_dataset(numeric, codes, y, sizes, n_classes)
    from pytabkit.models.alg_interfaces import tabm_interface
    from pytabkit.models.training.logging import StdoutLogger

    models, losses, draws = [], [], []
    real_model, real_rand = tabm_interface.Model, torch.rand

    def make_model(**arguments):
        models.append(real_model(**arguments))
        models.append(tabm_weights(models[0]))
        return models[0]

    def record_loss(name):
        real = getattr(torch.nn.functional, name)

        def loss_function(*arguments):
            losses.append(real(*arguments))
            return losses[-1]

        monkeypatch.setattr(torch.nn.functional, name, loss_function)

    def rand(*arguments, **options):
        draws.append(real_rand(*arguments, **options))
        return draws[-1]

    monkeypatch.setattr(tabm_interface, "Model", make_model)
    monkeypatch.setattr(torch, "rand", rand)
    record_loss("mse_loss")
    record_loss("cross_entropy")
    sizes_of_layers = {"tabm_k": MEMBERS, "d_block": WIDTH, "num_emb_n_bins": 7, "d_embedding": 3}
    interface = tabm_interface.TabMSubSplitInterface(
        arch_type=arch, num_emb_type=embedding, batch_size=36, n_epochs=4, weight_decay=0.01, **sizes_of_layers
    )
    interface.fit(dataset, [split], resources, StdoutLogger(verbosity_level=0), [None], "TabM")

    model, weights = models
    prepared_numeric = to_numpy(interface.tfm_(dataset).tensors["x_cont"][:, interface.num_col_mask_])
    assert prepared_numeric.shape[1] == 3  # the constant column is left out
    check_start(weights, embedding == "pwl", 3)
    y_train = y[:N_TRAIN]
    orders = [to_numpy(draw.argsort(dim=1)).T for draw in draws]
    problem = reference.Problem(
        "tabm",
        weights,
        np.column_stack([prepared_numeric, one_hot_columns(codes)]) if with_codes else prepared_numeric,
        y[:, 0] if n_classes else (y - y_train.mean()) / y_train.std(),
        [order[i : i + 36] for order in orders for i in range(0, N_TRAIN, 36)],
        recorder.masks_of_steps(2 if embedding == "pwl" else 3),
        n_steps=N_STEPS,
        learning_rate=2e-3,
        weight_decay=0.01,
        dropout=0.1,
        edges=edges_of(model) if embedding == "pwl" else None,
    )
    check_losses(problem, [loss.item() for loss in losses])

    errors, networks = [], []

    def validate(step, network):
        if (step + 1) % 5 == 0:
            z = reference.members_prediction(network.forward(problem.X[N_TRAIN:]), n_classes > 0)
            truth = y[N_TRAIN:]
            z = z if n_classes else z * y_train.std() + y_train.mean()
            networks.append(z)
            errors.append((z.argmax(axis=1) != truth[:, 0]).mean() if n_classes else np.sqrt(((z - truth) ** 2).mean()))

    reference.train(problem, validate)
    prediction = to_numpy(interface.predict(dataset))[0, N_TRAIN:]
    prediction = np.exp(prediction) if n_classes else prediction
    np.testing.assert_allclose(networks[reference.best_epoch(errors, "first")], prediction, rtol=1e-9)


def steps_of_tabm(arch, embedding, n_classes, shared, dropout):
    """The losses of the package tabm in each step, and the problem without masks."""
    tabm = pytest.importorskip("tabm", reason="tabm is an optional oracle: pip install tabm")
    import rtdl_num_embeddings as embeddings

    numeric, codes, y = table(N_TRAIN, CODES, n_classes)
    numeric = numeric[:, [0, 1, 3]] / [1, 100, 1]
    y = y[:, 0] if n_classes else (y - y.mean()) / y.std()
    module = None
    if embedding == "piecewise":
        bins = embeddings.compute_bins(torch.as_tensor(numeric), n_bins=7)
        module = embeddings.PiecewiseLinearEmbeddings(bins, 3, activation=False, version="B")
    elif embedding == "periodic":
        module = embeddings.PeriodicEmbeddings(3, 5, n_frequencies=4, frequency_init_scale=0.5, lite=False)
    sizes_of_layers = {"n_num_features": 3, "cat_cardinalities": CODES, "d_out": n_classes or 1, "k": MEMBERS, "d_block": WIDTH}
    model = tabm.TabM.make(num_embeddings=module, arch_type=arch, dropout=dropout, **sizes_of_layers)
    weights = tabm_weights(model)
    check_start(weights, embedding != "none", 3)
    if embedding == "piecewise":  # the equal values of column 2 leave it with one bin
        assert [len(b) for b in edges_of(model)] == [8, 8, 2]
        for ours, theirs in zip(edges_of(model), bins, strict=True):
            np.testing.assert_allclose(ours, theirs)
    no_decay = [p for name, p in model.named_parameters() if name.endswith("bias") or "linear0" in name or "periodic" in name]
    others = [p for p in model.parameters() if all(p is not other for other in no_decay)]
    groups = [{"params": others, "weight_decay": 0.3}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3)
    rng, batches, losses = np.random.default_rng(1), [], []
    for _ in range(N_STEPS):
        rows = rng.permutation(N_TRAIN) if shared else rng.permuted(np.tile(np.arange(N_TRAIN), (MEMBERS, 1)), axis=1).T
        batches.append(rows[:32])
        z = model(torch.as_tensor(numeric[rows[:32]]), torch.as_tensor(codes[rows[:32]])).flatten(0, 1)
        target = torch.as_tensor(np.repeat(y[rows[:32]], MEMBERS, axis=0) if shared else y[rows[:32]].reshape(-1, *y.shape[1:]))
        loss = torch.nn.functional.cross_entropy(z, target) if n_classes else torch.nn.functional.mse_loss(z, target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    problem = reference.Problem(
        "tabm",
        weights,
        np.column_stack([numeric, one_hot_columns(codes)]),
        y,
        batches,
        [],
        n_steps=N_STEPS,
        learning_rate=2e-3,
        weight_decay=0.3,
        dropout=dropout,
        edges=edges_of(model) if embedding == "piecewise" else None,
    )
    return losses, problem


each_shared = pytest.mark.parametrize("shared", [False, True], ids=["own rows", "shared rows"])


@each_shared
@pytest.mark.parametrize("n_classes", [0, 3], ids=["regression", "multiclass"])
@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
@pytest.mark.parametrize("arch", ["tabm", "tabm-mini"])
def test_tabm_has_the_losses_of_its_package(recorder, arch, embedding, n_classes, shared):
    losses, problem = steps_of_tabm(arch, embedding, n_classes, shared, 0.1)
    check_losses(problem._replace(masks=recorder.masks_of_steps(3 if embedding == "none" else 2)), losses)


@each_shared
@pytest.mark.parametrize("n_classes", [0, 2, 3], ids=["regression", "binary", "multiclass"])
@pytest.mark.parametrize("arch", ["tabm", "tabm-mini"])
@pytest.mark.usefixtures("recorder")  # makes PyTorch compute in float64
def test_kernels_have_the_losses_of_tabm(arch, n_classes, shared):
    """Without dropout, because the kernels draw other masks; tests/test_tabm_training.py tests dropout."""
    losses, problem = steps_of_tabm(arch, "none", n_classes, shared, 0.0)
    np.testing.assert_allclose(tabm_losses(problem, shares_batches=shared)[0], losses, rtol=1e-8)


# Embeddings of numbers that neither pytabkit's RealMLP nor the problems above have, in a network with one hidden layer

N_UNITS = 6


class CenteredEncoding(torch.nn.Module):
    """Numbers, followed by their piecewise-linear encoding, limited to [0, 1], minus its mean in `rows`.

    Columns with one bin have no encoding.
    """

    def __init__(self, embeddings, bins, rows):
        super().__init__()
        self.columns = [column for column, edges in enumerate(bins) if len(edges) > 2]
        self.encoding = embeddings.PiecewiseLinearEncoding([bins[column] for column in self.columns])
        self.means = self.limited(rows).mean(dim=0)

    def limited(self, x):
        return self.encoding(x[:, self.columns]).clamp(0, 1)

    def forward(self, x):
        return torch.cat([x, self.limited(x) - self.means], dim=1)


def plr_lite_module(embeddings, net, n_columns):
    """The module with the parameters of a network whose only encoder is the periodic embedding with one linear layer."""
    module = embeddings.PeriodicEmbeddings(n_columns, 5, n_frequencies=7, lite=True)
    w, W, b = np.split(net.layout.extra(net.params, "encoder_0").copy(), np.cumsum([n_columns * 7, 14 * 5]))
    for parameter, value in ((module.periodic.weight, w), (module.linear.weight, W.reshape(14, 5).T), (module.linear.bias, b)):
        parameter.data[...] = torch.as_tensor(value.reshape(parameter.shape))
    return torch.nn.Sequential(module, torch.nn.Flatten())


def check_network(net, module):
    """Compare the outputs, the losses of 20 steps of AdamW and the outputs after them with those of PyTorch."""
    hidden, last = torch.nn.Linear(net.layout.sizes[0], N_UNITS), torch.nn.Linear(N_UNITS, 2)
    for layer, W, b in zip((hidden, last), net.coefs, net.intercepts, strict=True):
        layer.weight.data[...], layer.bias.data[...] = torch.as_tensor(W.T.copy()), torch.as_tensor(b.copy())
    model, X, y = torch.nn.Sequential(module, hidden, torch.nn.Tanh(), last), torch.as_tensor(net.X), torch.as_tensor(net.y)
    np.testing.assert_allclose(net.predict(), to_numpy(model(X)), rtol=1e-11, atol=1e-11)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0), []
    for _ in range(N_STEPS):
        loss = ((model(X) - y) ** 2).sum() / (2 * len(y))
        losses.append(loss.item() / y.shape[1])  # the kernels use this mean only for the loss, not for the gradient
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert net.train(N_STEPS) == N_STEPS
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(net.losses[:N_STEPS], losses, rtol=1e-8)
    np.testing.assert_allclose(net.predict(), to_numpy(model(X)), rtol=1e-7, atol=1e-8)


def encoded_network(network, encoders, n_rows):
    sizes = sum(encoder.n_out for encoder in encoders), N_UNITS, 2
    of_adam = {"learning_rate_init": 0.01, "beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8, "alpha": 0.0}
    return network(sizes, np.float64, n_rows, kinds=LayerKinds(encoders=encoders), solver="adamw", **of_adam)


@pytest.mark.usefixtures("recorder")  # makes PyTorch compute in float64
def test_periodic_lite_has_the_losses_of_torch(network):
    embeddings = pytest.importorskip("rtdl_num_embeddings", reason="an optional oracle: pip install rtdl_num_embeddings")
    net = encoded_network(network, (plr_encoder(4, 7, 5, is_lite=True),), 40)
    check_network(net, plr_lite_module(embeddings, net, 4))


@pytest.mark.usefixtures("recorder")  # makes PyTorch compute in float64
def test_centered_encoding_has_the_losses_of_torch(network):
    embeddings = pytest.importorskip("rtdl_num_embeddings", reason="an optional oracle: pip install rtdl_num_embeddings")
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=60), rng.integers(2, size=60), rng.exponential(size=60), rng.integers(4, size=60)])
    rows = X[:40]  # the other rows have numbers outside of the bins
    edges, means = centered_bins(rows, 6)
    bins = embeddings.compute_bins(torch.as_tensor(rows), n_bins=6)
    assert [len(of_column) for of_column in bins] == [7, 2, 7, 6]
    for of_column, expected in zip(edges, bins, strict=True):
        np.testing.assert_allclose(of_column, expected if len(expected) > 2 else expected[:1], rtol=1e-12)
    module = CenteredEncoding(embeddings, bins, torch.as_tensor(rows))
    np.testing.assert_allclose(np.concatenate(means), module.means, rtol=1e-12)
    net = encoded_network(network, (copy_encoder(4), piecewise_linear_encoder(edges, means, reads_again=True)), 60)
    net.X[...] = X * np.repeat([1, 2], [40, 20])[:, None]
    check_network(net, module)

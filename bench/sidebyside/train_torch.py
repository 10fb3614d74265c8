"""PyTorch in eager mode: tensors are created once, the optimizer is fused, and `index_select` creates the batches.

``AutocastTrainer`` has products of bfloat16 numbers. The other two classes use torch.compile, which needs a C++ compiler.
"""

import torch
from torch import nn

from .trainer import Trainer
from .works import ALPHA, BETA_1, BETA_2, EPSILON, LEARNING_RATE, MOMENTUM

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid}


class TorchTrainer(Trainer):
    def setup(self):
        torch.set_num_threads(self.work.n_threads)
        self.features = torch.from_numpy(self.X)
        self.targets = torch.from_numpy(self.y)
        self.loss = nn.CrossEntropyLoss()
        if self.work.sizes[-1] == 1:
            self.targets = self.targets.to(self.features.dtype).reshape(-1, 1)
            self.loss = nn.BCEWithLogitsLoss()

    def train(self, n_epochs):
        model = self.model()
        optimizer = self.optimizer(model.parameters())
        X, y, loss = self.features, self.targets, self.loss
        for order in self.start.orders(n_epochs):
            for rows in torch.from_numpy(order):
                optimizer.zero_grad(set_to_none=True)
                loss(self.outputs(model, X.index_select(0, rows)), y.index_select(0, rows)).backward()
                optimizer.step()
        linears = [layer for layer in model if isinstance(layer, nn.Linear)]
        return [layer.weight.detach().numpy().T for layer in linears], [layer.bias.detach().numpy() for layer in linears]

    def outputs(self, model, X):
        return model(X)

    def model(self):
        """A new network with the starting weights."""
        layers = []
        for W, b in zip(self.start.coefs, self.start.intercepts, strict=True):
            linear = nn.Linear(*W.shape, dtype=self.features.dtype)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, _ACTIVATIONS[self.work.activation]()]
        return nn.Sequential(*layers[:-1])

    def optimizer(self, parameters):
        # One parameter group is faster than two. With one group, the biases are decayed, too, unlike in scikit-learn. This affects
        # only dead units.
        options = {"lr": LEARNING_RATE, "weight_decay": ALPHA / self.work.batch_size, "fused": True}
        if self.work.solver == "adam":
            return torch.optim.Adam(parameters, betas=(BETA_1, BETA_2), eps=EPSILON, **options)
        return torch.optim.SGD(parameters, momentum=MOMENTUM, nesterov=True, **options)


class CompiledTorchTrainer(TorchTrainer):
    """One network is compiled at the first call; each training starts with its starting weights."""

    def setup(self):
        super().setup()
        self.network = super().model()
        self.compiled = torch.compile(self.network)

    def model(self):
        with torch.no_grad():
            for kept, new in zip(self.network.parameters(), super().model().parameters(), strict=True):
                kept.copy_(new)
        return self.network

    def outputs(self, model, X):
        return self.compiled(X)


class AutocastTrainer(TorchTrainer):
    """Autocast to bfloat16: products and activations are bfloat16; weights, losses and the optimizer are float32."""

    def outputs(self, model, X):
        with torch.autocast("cpu", torch.bfloat16):
            return super().outputs(model, X).float()


class CompiledAutocastTrainer(AutocastTrainer, CompiledTorchTrainer):
    pass

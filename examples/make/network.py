"""A bag-of-embeddings classifier in numpy: mean-pooled tables, one hidden layer, two logits.

Model A pools one table (words), model B two (words, and hashed pairs of neighbouring words). Training is plain Adam on
cross-entropy. Everything is seeded and single-threaded, so that one machine makes the same weights twice.
"""

import dataclasses

import numpy
import scipy.sparse


@dataclasses.dataclass(frozen=True)
class Table:
    """One embedding table: its number of rows, its width, and the share of its tokens dropped in training."""

    rows: int
    width: int
    drop: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is built and trained.

    window_share of the reviews of a batch is cut to a window of window_min tokens or more (log-uniform), so that
    the network also learns to judge one sentence. empty_share of them is emptied, so that it answers about one half
    when there is nothing to read.
    """

    tables: tuple
    hidden: int
    epochs: int
    rate: float = 0.003
    decay: float = 1e-6
    batch: int = 256
    window_share: float = 0.5
    window_min: int = 8
    empty_share: float = 0.01
    seed: int = 20261122


class Ragged:
    """Rows of ids of differing lengths, one flat array with offsets; all tables of a network share the offsets."""

    def __init__(self, encoded):
        """Takes [(ids, bigrams), ...]: one list of ids per table for every review, all as long as each other."""
        lengths = numpy.array([len(row[0]) for row in encoded])
        self.starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
        self.columns = [
            numpy.concatenate([numpy.asarray(row[column], dtype=numpy.int64) for row in encoded])
            for column in range(len(encoded[0]))
        ]

    def __len__(self):
        return len(self.starts) - 1

    def slices(self, rows):
        """Returns (first, last) positions of the given rows in the flat arrays."""
        return self.starts[rows], self.starts[rows + 1]


def pooled(ids, lengths, table, keep=None):
    """Returns the sparse matrix that averages the embeddings of each row's ids, id 0 left out."""
    wanted = ids != 0
    if keep is not None:
        wanted &= keep
    ends = numpy.concatenate([[0], numpy.cumsum(lengths)])
    kept = numpy.concatenate([[0], numpy.cumsum(wanted)])[ends]
    counts = numpy.diff(kept)
    weights = numpy.repeat(1.0 / numpy.maximum(counts, 1), counts).astype(numpy.float32)
    return scipy.sparse.csr_matrix((weights, ids[wanted], kept), shape=(len(lengths), table.rows))


class Network:
    """The weights: tables (each [rows, width], row 0 zero), w1, b1, w2, b2, all float32."""

    def __init__(self, settings):
        self.settings = settings
        random = numpy.random.default_rng(settings.seed)
        width = sum(table.width for table in settings.tables)
        # Only the first table starts at random: a pair seldom seen then stays near 0 instead of being noise.
        self.tables = [
            normal(random, (table.rows, table.width), 0.001 if number else 0.1)
            for number, table in enumerate(settings.tables)
        ]
        self.w1 = normal(random, (width, settings.hidden), (2 / width) ** 0.5)
        self.b1 = numpy.zeros(settings.hidden, numpy.float32)
        self.w2 = normal(random, (settings.hidden, 2), settings.hidden**-0.5)
        self.b2 = numpy.zeros(2, numpy.float32)
        for table in self.tables:
            table[0] = 0

    def weights(self):
        """Returns every weight array, tables first; the arrays are the network's own."""
        return [*self.tables, self.w1, self.b1, self.w2, self.b2]

    def forward(self, pools):
        """Returns (pooled embeddings, hidden before ReLU, logits) for one sparse matrix per table."""
        embedded = numpy.hstack([pool @ table for pool, table in zip(pools, self.tables)])
        hidden = embedded @ self.w1 + self.b1
        return embedded, hidden, numpy.maximum(hidden, 0) @ self.w2 + self.b2

    def gradients(self, pools, labels):
        """Returns (mean loss, gradients in the order of weights())."""
        embedded, hidden, logits = self.forward(pools)
        probabilities = softmax(logits)
        picked = numpy.arange(len(labels)), labels
        loss = -numpy.log(probabilities[picked] + 1e-9).mean()
        probabilities[picked] -= 1
        at_logits = probabilities / len(labels)
        at_hidden = (at_logits @ self.w2.T) * (hidden > 0)
        at_embedded = at_hidden @ self.w1.T
        edges = numpy.cumsum([table.width for table in self.settings.tables])[:-1]
        parts = numpy.split(at_embedded, edges, axis=1)
        at_tables = [
            pool.T @ part + self.settings.decay * table for pool, part, table in zip(pools, parts, self.tables)
        ]
        activated = numpy.maximum(hidden, 0)
        dense = [embedded.T @ at_hidden, at_hidden.sum(0), activated.T @ at_logits, at_logits.sum(0)]
        return loss, [gradient.astype(numpy.float32) for gradient in (*at_tables, *dense)]


class Adam:
    """Adam over a fixed list of arrays, which step() changes in place."""

    def __init__(self, weights):
        self.weights = weights
        self.means = [numpy.zeros_like(weight) for weight in weights]
        self.squares = [numpy.zeros_like(weight) for weight in weights]
        self.steps = 0

    def step(self, gradients, rate):
        """Moves every array against its gradient."""
        self.steps += 1
        scaled = rate * numpy.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for weight, gradient, mean, square in zip(self.weights, gradients, self.means, self.squares):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            weight -= scaled * mean / (numpy.sqrt(square) + 1e-8)


def normal(random, shape, deviation):
    """Returns normal float32 noise."""
    return (random.standard_normal(shape) * deviation).astype(numpy.float32)


def softmax(logits):
    """Returns the softmax of each row."""
    powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cut(data, rows, settings, random):
    """Returns the first position and length of each row's part that this step trains on."""
    first, last = data.slices(rows)
    lengths = last - first
    span = numpy.log(numpy.maximum(lengths / settings.window_min, 1))
    drawn = numpy.ceil(settings.window_min * numpy.exp(random.random(len(rows)) * span)).astype(numpy.int64)
    windows = numpy.minimum(drawn, lengths)
    shorter = random.random(len(rows)) < settings.window_share
    sizes = numpy.where(shorter, windows, lengths)
    sizes[random.random(len(rows)) < settings.empty_share] = 0
    offsets = (random.random(len(rows)) * (lengths - sizes + 1)).astype(numpy.int64)
    return first + offsets, sizes


def pools_of(data, first, sizes, settings, random=None):
    """Returns one sparse averaging matrix per table for the given parts; random turns token dropout on."""
    ends = numpy.cumsum(sizes)
    within = numpy.arange(sizes.sum()) - numpy.repeat(ends - sizes, sizes)
    positions = numpy.repeat(first, sizes) + within
    pools = []
    for table, column in zip(settings.tables, data.columns):
        keep = random.random(len(positions)) >= table.drop if random is not None else None
        pools.append(pooled(column[positions], sizes, table, keep))
    return pools


def train(settings, data, labels, after_epoch=None):
    """Returns a network trained on data; after_epoch(number, loss, network) is called after each pass."""
    network = Network(settings)
    random = numpy.random.default_rng(settings.seed + 1)
    adam = Adam(network.weights())
    per_epoch = -(-len(data) // settings.batch)
    for epoch in range(settings.epochs):
        order = random.permutation(len(data))
        losses = []
        for step in range(per_epoch):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            pools = pools_of(data, *cut(data, rows, settings, random), settings, random)
            loss, gradients = network.gradients(pools, labels[rows])
            adam.step(gradients, settings.rate * (1 - (epoch * per_epoch + step) / (settings.epochs * per_epoch)))
            for table in network.tables:
                table[0] = 0
            losses.append(loss)
        if after_epoch is not None:
            after_epoch(epoch + 1, float(numpy.mean(losses)), network)
    return network


def accuracy(network, data, labels, size=1000):
    """Returns the share of rows that the network labels right."""
    right = 0
    for start in range(0, len(data), size):
        rows = numpy.arange(start, min(start + size, len(data)))
        first, last = data.slices(rows)
        logits = network.forward(pools_of(data, first, last - first, network.settings))[2]
        right += int((logits.argmax(axis=1) == labels[rows]).sum())
    return right / len(data)

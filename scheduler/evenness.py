"""How evenly, or how tightly, a cluster is used, as one number; lower is better. Rebalancing lowers it.

With u and v a node's shares of CPU and memory that are taken, and w and z its CPU and memory against the
mean node's:

- load: the sum over nodes of (w u² + z v²) / 2. For a fixed total the sum of squares is least when all shares
  are equal (A. K. Chandra, C. K. Wong, "Worst-case analysis of a placement algorithm related to storage
  allocation", SIAM J. Computing 4, 1975); by w and z a large node may hold more.
- packing policies, instead of it: the sum over nodes in use of (w + z) / 2 less that. It falls as nodes become
  fuller, and by a whole node for each one emptied; the sum of squared fills is the fitness of E. Falkenauer,
  A. Delchambre, "A genetic algorithm for bin packing and line balancing", ICRA 1992.
- skew: for each service and each key it is spread over, weight times the sum over the key's values of
  count² / replicas, which is how many replicas share one's fate on average (A. O. Hirschman's and
  O. C. Herfindahl's index of concentration, times the replicas). Policies that spread count nodes as a key of
  weight `NODES`.

So moving a tenth of a node from one that is 60 % full to one that is 20 % full gains 0.06 if nodes are equal.
What is leaving counts as gone, but its room is not free yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.arrays import Floats, Ints
from scheduler.domains import attribute
from scheduler.model import Allocation, Node, Request
from scheduler.placement import Cluster
from scheduler.scores import Policy

NODES = 0.1
"""Weight of a service's skew over nodes against a label's (1 unless the request says otherwise)."""

NODE = "node.id"
Service = tuple[str, str]


@dataclass(slots=True)
class Key:
    """One key that a service is spread over: a number for each node's value, and its replicas by value."""

    name: str
    weight: float
    codes: Ints
    counts: Ints


class Skew:
    """One service: its replicas, and where they are."""

    def __init__(self, replicas: int, keys: Sequence[Key]) -> None:
        self.replicas = replicas
        self.keys = keys

    def measure(self) -> float:
        return sum(key.weight * float(key.counts @ key.counts) for key in self.keys) / self.replicas

    def gains(self, key: Key, source: int) -> Floats:
        """By target, what moving one replica from `source` gains for this key; 0 within the same value."""
        there, here = key.counts[key.codes], key.counts[key.codes[source]]
        change = np.where(key.codes == key.codes[source], 0, 2 * (here - there - 1))
        return np.asarray(change * (key.weight / self.replicas), dtype=np.float64)

    def most(self, source: int) -> float:
        """No target gains more than this."""
        spans = (
            key.weight * max(0, 2 * int(key.counts[key.codes[source]] - key.counts.min() - 1))
            for key in self.keys
        )
        return sum(spans) / self.replicas

    def move(self, source: int, target: int) -> None:
        for key in self.keys:
            key.counts[key.codes[source]] -= 1
            key.counts[key.codes[target]] += 1


class Evenness:
    """The measure, kept up as containers move. Rows are nodes in the order of their ids."""

    def __init__(self, cluster: Cluster, policy: Policy) -> None:
        self.nodes = cluster.nodes
        self.packing = "load" not in policy.weights
        held = [(row, each) for row, node in enumerate(self.nodes) for each in cluster.on(node.id)]
        staying = [(row, each) for row, each in held if not each.leaving]
        self.capacity = np.array([amounts_of(node) for node in self.nodes], dtype=np.int64).reshape(-1, 4)
        self.free = self.capacity - self._sums(held)
        """What is not taken, also by what is leaving: CPU, memory, pids, disk."""
        self.load = self._sums(staying)[:, :2].astype(np.float64)
        """CPU and memory of what stays."""
        self.there: Ints = np.bincount([row for row, _ in staying], minlength=len(self.nodes))
        """Containers that stay."""
        size = np.maximum(self.capacity[:, :2], 1).astype(np.float64)
        mean = size.mean(axis=0) if len(size) else np.ones(2)
        self._price = 0.5 / (size * mean)
        self._whole = (size / mean).sum(axis=1) / 2.0
        self._codes: dict[str, Ints] = {}
        self.services = self._skews(staying)

    # -- the number

    def measure(self) -> float:
        load = (self._price * self.load**2).sum(axis=1)
        if self.packing:
            load = np.where(self.there > 0, self._whole - load, 0.0)
        return float(load.sum()) + sum(skew.measure() for skew in self.services.values())

    # -- what a move changes

    def given_up(self, sources: Ints, asked: Ints) -> Floats:
        """What load gains where each of `asked` (rows of amounts) leaves its source."""
        load, amount = self.load[sources], asked[:, :2].astype(np.float64)
        less = (self._price[sources] * amount * (2.0 * load - amount)).sum(axis=1)
        if self.packing:
            less = np.where(self.there[sources] == 1, self._whole[sources], 0.0) - less
        return np.asarray(less, dtype=np.float64)

    def taken_on(self, asked: Ints, targets: Ints) -> Floats:
        """What load gains (a loss is below 0) where each of `asked` comes to each target; -inf where it lacks
        room."""
        load, price = self.load[targets], self._price[targets]
        fits = np.ones((len(asked), len(targets)), dtype=np.bool_)
        for kind in range(asked.shape[1]):
            need = asked[:, kind, None]
            fits &= (self.free[targets, kind] >= need) | (need == 0)
        more = np.zeros(fits.shape)
        for kind in range(2):
            need = asked[:, kind, None].astype(np.float64)
            more += price[:, kind] * need * (2.0 * load[:, kind] + need)
        if self.packing:
            more = np.where(self.there[targets] == 0, self._whole[targets], 0.0) - more
        return np.where(fits, -more, -np.inf)

    def spread(self, service: Service, source: int) -> Floats:
        """By target, what skew gains when one replica leaves `source`."""
        skew = self.services[service]
        gains: Floats = np.zeros(len(self.nodes))
        for key in skew.keys:
            gains += skew.gains(key, source)
        return gains

    def move(self, request: Request, source: int, target: int) -> None:
        for row, sign in ((source, -1), (target, 1)):
            amount = np.array(amounts_of(request), dtype=np.int64)
            self.free[row] -= sign * amount
            self.load[row] += sign * amount[:2]
            self.there[row] += sign
        self.services[request.app, request.service].move(source, target)

    def fill(self, row: int) -> float:
        """Dominant share of the node that is taken."""
        return float((self.load[row] / np.maximum(self.capacity[row, :2], 1)).max())

    # -- how it is read

    def _sums(self, held: Sequence[tuple[int, Allocation]]) -> Ints:
        sums = np.zeros((len(self.nodes), 4), dtype=np.int64)
        if held:
            rows = [row for row, _ in held]
            np.add.at(sums, rows, np.array([amounts_of(each.request) for _, each in held], dtype=np.int64))
        return sums

    def _skews(self, staying: Sequence[tuple[int, Allocation]]) -> dict[Service, Skew]:
        rows: defaultdict[Service, list[int]] = defaultdict(list)
        requests: defaultdict[Service, dict[int, Request]] = defaultdict(dict)
        for row, each in staying:
            service = each.request.app, each.request.service
            rows[service].append(row)
            requests[service][id(each.request)] = each.request
        return {
            service: Skew(len(there), self._keys(requests[service].values(), there))
            for service, there in rows.items()
        }

    def _keys(self, requests: Iterable[Request], rows: Sequence[int]) -> list[Key]:
        """Of several releases of a service, all their keys, each with its highest weight."""
        weights = {} if self.packing else {NODE: NODES}
        for each in (spread for request in requests for spread in request.spread):
            weights[each.key] = max(each.weight, weights.get(each.key, 0.0))
        keys = []
        for name, weight in sorted(weights.items()):
            codes = self._codes_of(name)
            keys.append(Key(name, weight, codes, np.bincount(codes[list(rows)], minlength=codes.max() + 1)))
        return keys

    def _codes_of(self, key: str) -> Ints:
        if key not in self._codes:
            values = [attribute(node, key) for node in self.nodes]
            self._codes[key] = np.unique(np.array(values), return_inverse=True)[1].astype(np.int64)
        return self._codes[key]


def amounts_of(holder: Node | Request) -> tuple[int, int, int, int]:
    """CPU, memory, pids, disk; a node's disk of 0 is unknown and so never lacks."""
    unknown = 1 << 62 if isinstance(holder, Node) else 0
    return holder.cpu, holder.memory, holder.pids, holder.disk or unknown


def measure(cluster: Cluster, policy: Policy) -> float:
    """The measure of a cluster as it is."""
    return Evenness(cluster, policy).measure()

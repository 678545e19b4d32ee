"""Both formats of a trace, and what is said of a file that is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.model import Constraint, Node, NodeState, Resource, Spread, Want
from scheduler.simulation.traces import MIB, Trace, TraceError, read

OPENB_NODES = "sn,cpu_milli,memory_mib,gpu,model\na,96000,1024,8,G2\nb,32000,512,0,\nc,64000,512,2,T4\n"
OPENB_PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n"
    "p1,12000,16,1,1000,,LS\n"
    "p2,6000,12,1,460,,LS\n"
    "p3,6000,12,1,460,,BE\n"
    "p4,4000,8,0,0,,BE\n"
    "p5,8000,8,2,1000,G2|V100,LS\n"
)
NODES = "name,cpu_milli,memory_mib,zone,labels\nn1,4000,8192,east,disk=ssd;rack=r1\n"
SERVICES = (
    "app,service,replicas,cpu_milli,memory_mib,max_per_node,spread,constraints\n"
    "shop,web,2,250,128,1,node.zone;node.labels.rack,node.labels.disk==ssd;node.zone!=west\n"
)


def _read(folder: Path, nodes: str, pods: str) -> Trace:
    (folder / "nodes.csv").write_text(nodes)
    (folder / "pods.csv").write_text(pods)
    return read(folder / "nodes.csv", folder / "pods.csv")


def test_openb_nodes(tmp_path: Path) -> None:
    trace = _read(tmp_path, OPENB_NODES, OPENB_PODS)
    assert trace.nodes[:2] == (
        Node("a", "a", NodeState.READY, 96000, 1024 * MIB, resources={"gpu": 8}, labels={"gpu.model": "G2"}),
        Node("b", "b", NodeState.READY, 32000, 512 * MIB),
    )


def test_openb_pods_are_batches_of_one_and_share_equal_requests(tmp_path: Path) -> None:
    trace = _read(tmp_path, OPENB_NODES, OPENB_PODS)
    requests = [want.request for (want,) in trace.batches]
    assert [each.resources for each in requests] == [
        (Resource("gpu", units=1),),
        (Resource("gpu", share=460),),
        (Resource("gpu", share=460),),
        (),
        (Resource("gpu", units=2),),
    ]
    assert requests[1] is requests[2]
    assert [(each.cpu, each.memory) for each in requests[:2]] == [(12000, 16 * MIB), (6000, 12 * MIB)]


def test_openb_models_that_are_not_allowed_are_excluded(tmp_path: Path) -> None:
    (want,) = _read(tmp_path, OPENB_NODES, OPENB_PODS).batches[-1]
    assert want.request.constraints == (Constraint("node.labels.gpu.model", equal=False, value="T4"),)


def test_our_own_format(tmp_path: Path) -> None:
    trace = _read(tmp_path, NODES, SERVICES)
    labels = {"disk": "ssd", "rack": "r1"}
    assert trace.nodes == (Node("n1", "n1", NodeState.READY, 4000, 8192 * MIB, labels=labels, zone="east"),)
    ((first, second),) = trace.batches
    assert (first.slot, second) == ("shop/web.1", Want(first.request, "shop/web.2"))
    assert first.request.spread == (Spread("node.zone", 1.0), Spread("node.labels.rack", 1e-3))
    assert first.request.max_per_node == 1
    assert first.request.constraints == (
        Constraint("node.labels.disk", equal=True, value="ssd"),
        Constraint("node.zone", equal=False, value="west"),
    )


@pytest.mark.parametrize(
    ("nodes", "pods", "problem"),
    [
        ("x,y\n1,2\n", OPENB_PODS, "nodes.csv:2: there is no column 'name'"),
        (OPENB_NODES, "name,cpu_milli\np,1\n", "pods.csv:2: there is no column 'gpu_spec'"),
        ("sn,cpu_milli,memory_mib\na,many,1\n", OPENB_PODS, "nodes.csv:2: invalid literal"),
        (NODES.replace("disk=ssd", "disk"), SERVICES, "nodes.csv:2: 'disk' is no label"),
        (NODES, SERVICES.replace("disk==ssd", "disk"), "pods.csv:2: 'node.labels.disk' is no constraint"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, nodes: str, pods: str, problem: str) -> None:
    with pytest.raises(TraceError) as caught:
        _read(tmp_path, nodes, pods)
    assert problem in str(caught.value)

"""Which keys of the specification are run, which come later, and which are never allowed, and why."""

from __future__ import annotations

from .cursor import OWN

_HOST = "it gives a container rights on its host"
_HOST_NAMESPACE = "it opens a namespace outside of the container"
_LATER = ""

SERVICE = frozenset(
    (
        *("image", "command", "entrypoint", "environment", "env_file", "labels", "user", "working_dir"),
        *("hostname", "stop_signal", "stop_grace_period", "init", "tty", "stdin_open", "read_only"),
        *("shm_size", "tmpfs", "ulimits", "healthcheck", "ports", "expose", "volumes", "configs", "secrets"),
        *("logging", "networks"),
        *("restart", "pull_policy", "scale", "deploy", "mem_limit", "mem_reservation", "cpus", "pids_limit"),
        *("depends_on", "extends", "privileged", "security_opt", "network_mode", OWN),
    )
)

SERVICE_REFUSED = {
    "pid": _HOST_NAMESPACE,
    "ipc": _HOST_NAMESPACE,
    "uts": _HOST_NAMESPACE,
    "userns_mode": _HOST_NAMESPACE,
    "cgroup": _HOST_NAMESPACE,
    "cgroup_parent": _HOST,
    "devices": _HOST,
    "device_cgroup_rules": _HOST,
    "cap_add": _HOST,
    "sysctls": _HOST,
    "runtime": _HOST,
    "isolation": _HOST,
    "volumes_from": "it reaches into another container's files",
    "external_links": "it reaches containers of others",
    "extra_hosts": "it can redirect names to the host",
    "oom_score_adj": _HOST,
    "oom_kill_disable": _HOST,
    "credential_spec": _HOST,
    "use_api_socket": "it hands the engine's socket to the container",
    "storage_opt": _HOST,
}

SERVICE_UNSUPPORTED = {
    "build": "give an image",
    "container_name": "Berth names containers itself, as app/service.n",
    "cap_drop": _LATER,
    "profiles": _LATER,
    "annotations": _LATER,
    "attach": _LATER,
    "blkio_config": _LATER,
    "cpu_count": "use cpus",
    "cpu_percent": "use cpus",
    "cpu_shares": "use cpus",
    "cpu_quota": "use cpus",
    "cpu_period": "use cpus",
    "cpu_rt_period": "use cpus",
    "cpu_rt_runtime": "use cpus",
    "cpuset": "use cpus",
    "develop": _LATER,
    "dns": _LATER,
    "dns_opt": _LATER,
    "dns_search": _LATER,
    "domainname": _LATER,
    "gpus": "use deploy.resources.reservations.devices, or x-berth.gpu",
    "group_add": _LATER,
    "label_file": "use labels",
    "links": "services of an app reach each other by name",
    "mac_address": _LATER,
    "mem_swappiness": _LATER,
    "memswap_limit": _LATER,
    "models": _LATER,
    "platform": "use a placement constraint on node.platform.arch",
    "post_start": _LATER,
    "pre_stop": _LATER,
    "provider": _LATER,
    "pull_refresh_after": _LATER,
}

TOP = frozenset({"version", "name", "services", "volumes", "configs", "secrets", "networks", OWN})
TOP_UNSUPPORTED = {
    "include": "an app is one file",
    "models": _LATER,
}

DEPLOY = frozenset(
    (
        *("mode", "replicas", "resources", "placement", "restart_policy", "update_config"),
        *("rollback_config", "endpoint_mode", "labels"),
    )
)

X_BERTH = frozenset(
    (
        *("priority", "exclusive", "spread", "affinity", "anti_affinity", "disk", "gpu", "resources"),
        *("release_command", "secret_environment", "size"),
    )
)
X_BERTH_UNSUPPORTED = {"domains": _LATER, "autoscale": _LATER}

"""A live drill as an entry of cron and as a CronJob of Kubernetes."""

import shlex
from collections.abc import Sequence

import yaml

from ml_exporter.errors import ConfigError, Problem

IMAGE = "ml-exporter:latest"
CLAIM = "ml-exporter-drill"


def schedule(cron: str, arguments: Sequence[str]) -> str:
    """YAML of a CronJob, with the entry of cron in a comment above. Raises ConfigError for no time of cron.

    The CronJob runs the same command in the exporter's image, with the volume of the configuration and the log.
    """
    if len(cron.split()) != 5:
        action = "Write minute, hour, day, month and weekday, for example '0 10 * * 1'"
        raise ConfigError([Problem("--schedule", "five fields of cron", repr(cron), action)])
    container = {
        "name": "drill",
        "image": IMAGE,
        "command": ["ml-exporter", *arguments],
        "workingDir": "/etc/ml-exporter",
        "volumeMounts": [{"name": "exporter", "mountPath": "/etc/ml-exporter"}],
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "exporter", "persistentVolumeClaim": {"claimName": CLAIM}}],
    }
    job = {"backoffLimit": 0, "activeDeadlineSeconds": 4 * 3600, "template": {"spec": pod}}
    document = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "ml-exporter-drill"},
        "spec": {
            "schedule": cron,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "jobTemplate": {"spec": job},
        },
    }
    command = " ".join(shlex.quote(word) for word in ("ml-exporter", *arguments)).replace("%", r"\%")
    text = "# An entry of cron, for the machine of the exporter (cd to the folder of its configuration):\n"
    text += f"#   {cron} {command}\n"
    text += "# On Kubernetes. Set image and claim: the claim holds the configuration and the log of the drill model.\n"
    return text + str(yaml.safe_dump(document, sort_keys=False))

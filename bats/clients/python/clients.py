"""Clients of the Kubernetes API with the official Python package, for bats/tests/53-clients.bats.

    clients.py watch|use|container KUBECONFIG NAMESPACE [ARGUMENT…]

A client prints what it sees, and ends with 0 when everything was as expected.
"""

import sys
import time

import urllib3
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

SELECTOR = "client=python"
GROUP = ("containers.rancherdesktop.io", "v1alpha1")


def config_map(name, value):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"client": "python"}},
        "data": {"key": value},
    }


def rejected(status, call, *args, **options):
    """Expects that a call is rejected with an HTTP status, and returns the body."""
    try:
        call(*args, **options)
    except ApiException as error:
        assert error.status == status, error
        return str(error.body)
    raise AssertionError(f"{call} was not rejected with {status}")


def follow(list_objects, *arguments):
    """Yields events for ever: lists once, then resumes the watch where it was interrupted."""
    revision = list_objects(*arguments, label_selector=SELECTOR).metadata.resource_version
    print("listed", flush=True)
    while True:
        try:
            for event in watch.Watch().stream(
                list_objects, *arguments, label_selector=SELECTOR, resource_version=revision
            ):
                revision = event["object"].metadata.resource_version
                yield event
        except (urllib3.exceptions.HTTPError, ApiException) as error:
            # 503 while the daemon starts. An expired revision (410) ends the test: it must be resumable.
            if isinstance(error, ApiException) and error.status != 503:
                raise
            time.sleep(0.2)  # back-off


def watch_config_maps(namespace):
    """Prints the events of ConfigMaps until it is killed."""
    for event in follow(client.CoreV1Api().list_namespaced_config_map, namespace):
        found = event["object"]
        print(event["type"], found.metadata.name, found.data["key"], flush=True)


def use(namespace):
    """Creates, lists, updates, applies, and deletes ConfigMaps."""
    core = client.CoreV1Api()
    created = core.create_namespaced_config_map(namespace, config_map("python", "created"))
    assert created.metadata.uid and created.metadata.creation_timestamp.tzinfo, created
    assert "AlreadyExists" in rejected(409, core.create_namespaced_config_map, namespace, config_map("python", "created"))
    core.create_namespaced_config_map(namespace, config_map("python-second", "created"))

    page = core.list_namespaced_config_map(namespace, label_selector=SELECTOR, limit=1)
    rest = core.list_namespaced_config_map(namespace, label_selector=SELECTOR, limit=1, _continue=page.metadata._continue)
    names = [found.metadata.name for found in page.items + rest.items]
    assert names == ["python", "python-second"], names

    created.data["key"] = "replaced"
    replaced = core.replace_namespaced_config_map("python", namespace, created)
    assert replaced.data == {"key": "replaced"}, replaced
    rejected(409, core.replace_namespaced_config_map, "python", namespace, created)
    patched = core.patch_namespaced_config_map("python", namespace, {"data": {"other": "patched"}})
    assert patched.data == {"key": "replaced", "other": "patched"}, patched

    resources = dynamic.DynamicClient(client.ApiClient())
    config_maps = resources.resources.get(api_version="v1", kind="ConfigMap")
    applied = {"body": config_map("python", "applied"), "namespace": namespace, "field_manager": "python-applier"}
    conflict = rejected(409, config_maps.server_side_apply, **applied)
    assert ".data.key" in conflict, conflict
    forced = config_maps.server_side_apply(**applied, force_conflicts=True)
    assert forced.data.to_dict() == {"key": "applied", "other": "patched"}, forced

    core.delete_namespaced_config_map("python", namespace)
    rejected(404, core.read_namespaced_config_map, "python", namespace)
    core.delete_collection_namespaced_config_map(namespace, label_selector=SELECTOR)
    assert core.list_namespaced_config_map(namespace, label_selector=SELECTOR).items == []
    print("used")


def use_container(namespace, name):
    """Pauses a container and waits for the outcome, then removes it and waits until it is gone."""
    resources = dynamic.DynamicClient(client.ApiClient())
    containers = resources.resources.get(api_version="/".join(GROUP), kind="Container")
    listed = [found.metadata.name for found in containers.get(namespace=namespace).items]
    assert name in listed, listed

    def until(condition, revision=None):
        events = containers.watch(namespace=namespace, name=name, resource_version=revision)
        return next(event["object"] for event in events if condition(event))

    annotation = {"metadata": {"annotations": {"containers.rancherdesktop.io/action": "pause"}}}
    containers.patch(body=annotation, name=name, namespace=namespace, content_type="application/merge-patch+json")
    paused = until(lambda event: event["object"].status.status == "paused")
    print("status", paused.status.status)
    containers.delete(name=name, namespace=namespace)
    until(lambda event: event["type"] == "DELETED", paused.metadata.resourceVersion)
    print("removed")


if __name__ == "__main__":
    command, kubeconfig, *arguments = sys.argv[1:]
    config.load_kube_config(kubeconfig)
    {"watch": watch_config_maps, "use": use, "container": use_container}[command](*arguments)

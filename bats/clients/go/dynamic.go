package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// useDynamicClient lists every kind of the daemon, then pauses, unpauses, and removes
// the container whose ID is the argument.
func useDynamicClient(ctx context.Context, at place) error {
	client, err := dynamic.NewForConfig(at.config)
	if err != nil {
		return err
	}
	if err := listAll(ctx, at, client); err != nil {
		return err
	}
	id := at.arguments[0]
	containers := client.Resource(schema.GroupVersionResource{Group: "containers.rancherdesktop.io", Version: "v1alpha1", Resource: "containers"}).Namespace(at.namespace)
	for _, step := range [][2]string{{"pause", "paused"}, {"unpause", "running"}} {
		action, want := step[0], step[1]
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"containers.rancherdesktop.io/action":%q}}}`, action)
		if _, err := containers.Patch(ctx, id, types.MergePatchType, []byte(patch), meta.PatchOptions{}); err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
		// kubectl wait does the same.
		_, err := watchtools.UntilWithSync(ctx, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options meta.ListOptions) (runtime.Object, error) {
				options.FieldSelector = fields.OneTermEqualSelector("metadata.name", id).String()
				return containers.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options meta.ListOptions) (watch.Interface, error) {
				options.FieldSelector = fields.OneTermEqualSelector("metadata.name", id).String()
				return containers.Watch(ctx, options)
			},
		}, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				return false, fmt.Errorf("no container in an event: %v", event)
			}
			done, _, _ := unstructured.NestedString(object.Object, "status", "lastAction", "action")
			state, _, _ := unstructured.NestedString(object.Object, "status", "lastAction", "state")
			// The outcome may be reported before the engine's event about the container.
			status, _, _ := unstructured.NestedString(object.Object, "status", "status")
			return done == action && state == "Succeeded" && status == want, nil
		})
		if err != nil {
			return fmt.Errorf("no outcome of %s: %w", action, err)
		}
		fmt.Println(action, want)
	}
	watching, err := containers.Watch(ctx, meta.ListOptions{FieldSelector: "metadata.name=" + id})
	if err != nil {
		return err
	}
	defer watching.Stop()
	if err := containers.Delete(ctx, id, meta.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	for event := range watching.ResultChan() {
		if event.Type == watch.Deleted {
			break
		}
	}
	if _, err := containers.Get(ctx, id, meta.GetOptions{}); !errors.IsNotFound(err) {
		return fmt.Errorf("get after delete: %v", err)
	}
	fmt.Println("removed")
	return nil
}

// listAll prints the number of objects of each kind of the daemon.
func listAll(ctx context.Context, at place, client dynamic.Interface) error {
	discovering, err := discovery.NewDiscoveryClientForConfig(at.config)
	if err != nil {
		return err
	}
	all, err := discovering.ServerPreferredResources()
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	for _, version := range all {
		if !strings.Contains(version.GroupVersion, "rancherdesktop.io/") {
			continue
		}
		parsed, err := schema.ParseGroupVersion(version.GroupVersion)
		if err != nil {
			return err
		}
		for _, resource := range version.APIResources {
			list, err := client.Resource(parsed.WithResource(resource.Name)).List(ctx, meta.ListOptions{})
			if err != nil {
				return fmt.Errorf("list of %s: %w", resource.Name, err)
			}
			fmt.Println("kind", resource.Kind, len(list.Items))
		}
	}
	return nil
}

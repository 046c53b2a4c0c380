package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// typedClient is what the clients of all kinds have in common.
type typedClient[T, L, A any] interface {
	Create(context.Context, T, meta.CreateOptions) (T, error)
	Get(context.Context, string, meta.GetOptions) (T, error)
	List(context.Context, meta.ListOptions) (L, error)
	Watch(context.Context, meta.ListOptions) (watch.Interface, error)
	Update(context.Context, T, meta.UpdateOptions) (T, error)
	Patch(context.Context, string, types.PatchType, []byte, meta.PatchOptions, ...string) (T, error)
	Apply(context.Context, A, meta.ApplyOptions) (T, error)
	Delete(context.Context, string, meta.DeleteOptions) error
	DeleteCollection(context.Context, meta.DeleteOptions, meta.ListOptions) error
}

// kind is one kind with its own types; data of an object is a map of texts.
type kind[T interface {
	meta.Object
	runtime.Object
}, L runtime.Object, A any] struct {
	client  typedClient[T, L, A]
	object  func(name string, data map[string]string) T
	applied func(name string, data map[string]string) A
	data    func(T) map[string]string
	set     func(object T, key, value string)
	// patchValue is a value as it is in JSON.
	patchValue func(string) string
	items      func(L) []T
}

// useTypedClients does with ConfigMaps and Secrets what the typed client has, and
// checks that all of it but patches is in protobuf, as is the default.
func useTypedClients(ctx context.Context, at place) error {
	seen := &mediaTypes{}
	config := rest.CopyConfig(at.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		seen.next = next
		return seen
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	err = useKind(ctx, kind[*core.ConfigMap, *core.ConfigMapList, *applycore.ConfigMapApplyConfiguration]{
		client: client.CoreV1().ConfigMaps(at.namespace),
		object: func(name string, data map[string]string) *core.ConfigMap {
			return &core.ConfigMap{ObjectMeta: about(name), Data: data}
		},
		applied: func(name string, data map[string]string) *applycore.ConfigMapApplyConfiguration {
			return applycore.ConfigMap(name, at.namespace).WithData(data)
		},
		data:       func(object *core.ConfigMap) map[string]string { return object.Data },
		set:        func(object *core.ConfigMap, key, value string) { object.Data[key] = value },
		patchValue: func(value string) string { return fmt.Sprintf(`{"data":{"patched":%q}}`, value) },
		items:      func(list *core.ConfigMapList) []*core.ConfigMap { return pointers(list.Items) },
	})
	if err != nil {
		return fmt.Errorf("ConfigMap: %w", err)
	}
	err = useKind(ctx, kind[*core.Secret, *core.SecretList, *applycore.SecretApplyConfiguration]{
		client: client.CoreV1().Secrets(at.namespace),
		object: func(name string, data map[string]string) *core.Secret {
			return &core.Secret{ObjectMeta: about(name), StringData: data}
		},
		applied: func(name string, data map[string]string) *applycore.SecretApplyConfiguration {
			// Kubernetes does not detect conflicts between stringData and data.
			encoded := map[string][]byte{}
			for key, value := range data {
				encoded[key] = []byte(value)
			}
			return applycore.Secret(name, at.namespace).WithData(encoded)
		},
		data: func(object *core.Secret) map[string]string {
			data := map[string]string{}
			for key, value := range object.Data {
				data[key] = string(value)
			}
			return data
		},
		set:        func(object *core.Secret, key, value string) { object.Data[key] = []byte(value) },
		patchValue: func(value string) string { return fmt.Sprintf(`{"stringData":{"patched":%q}}`, value) },
		items:      func(list *core.SecretList) []*core.Secret { return pointers(list.Items) },
	})
	if err != nil {
		return fmt.Errorf("Secret: %w", err)
	}
	return seen.check()
}

func about(name string) meta.ObjectMeta {
	return meta.ObjectMeta{Name: name, Labels: map[string]string{"client": "typed"}}
}

func pointers[T any](items []T) []*T {
	var result []*T
	for i := range items {
		result = append(result, &items[i])
	}
	return result
}

func useKind[T interface {
	meta.Object
	runtime.Object
}, L runtime.Object, A any](ctx context.Context, kind kind[T, L, A]) error {
	client := kind.client
	selection := meta.ListOptions{LabelSelector: "client=typed"}
	holds := func(object T, key, want string) error {
		if have := kind.data(object)[key]; have != want {
			return fmt.Errorf("%s of %s is %q, not %q", key, object.GetName(), have, want)
		}
		return nil
	}

	created, err := client.Create(ctx, kind.object("typed", map[string]string{"key": "created"}), meta.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if created.GetUID() == "" || created.GetResourceVersion() == "" || created.GetCreationTimestamp().Year() < 2000 {
		return fmt.Errorf("create returned incomplete metadata: %v", created)
	}
	if err := holds(created, "key", "created"); err != nil {
		return err
	}
	_, err = client.Create(ctx, kind.object("typed", nil), meta.CreateOptions{})
	if !errors.IsAlreadyExists(err) {
		return fmt.Errorf("second create: %v", err)
	}

	list, err := client.List(ctx, selection)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if items := kind.items(list); len(items) != 1 || items[0].GetUID() != created.GetUID() {
		return fmt.Errorf("list returned %v", items)
	}
	revision := any(list).(meta.ListInterface).GetResourceVersion()
	watching, err := client.Watch(ctx, meta.ListOptions{LabelSelector: selection.LabelSelector, ResourceVersion: revision})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer watching.Stop()

	found, err := client.Get(ctx, "typed", meta.GetOptions{})
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	kind.set(found, "key", "updated")
	updated, err := client.Update(ctx, found, meta.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := holds(updated, "key", "updated"); err != nil {
		return err
	}
	kind.set(created, "key", "too late")
	if _, err = client.Update(ctx, created, meta.UpdateOptions{}); !errors.IsConflict(err) {
		return fmt.Errorf("update of an old version: %v", err)
	}

	for _, patch := range []struct {
		form types.PatchType
		body string
		key  string
		want string
	}{
		{types.StrategicMergePatchType, kind.patchValue("strategic"), "patched", "strategic"},
		{types.MergePatchType, kind.patchValue("merge"), "patched", "merge"},
		{types.JSONPatchType, `[{"op": "remove", "path": "/data/patched"}]`, "patched", ""},
	} {
		patched, err := client.Patch(ctx, "typed", patch.form, []byte(patch.body), meta.PatchOptions{})
		if err != nil {
			return fmt.Errorf("%s: %w", patch.form, err)
		}
		if err := holds(patched, patch.key, patch.want); err != nil {
			return fmt.Errorf("%s: %w", patch.form, err)
		}
	}

	applied := kind.applied("typed", map[string]string{"applied": "yes", "key": "applied"})
	_, err = client.Apply(ctx, applied, meta.ApplyOptions{FieldManager: "typed-applier"})
	if !errors.IsConflict(err) || !strings.Contains(err.Error(), "key") {
		return fmt.Errorf("apply without force: %v", err)
	}
	object, err := client.Apply(ctx, applied, meta.ApplyOptions{FieldManager: "typed-applier", Force: true})
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if err := holds(object, "applied", "yes"); err != nil {
		return err
	}
	if err := holds(object, "key", "applied"); err != nil {
		return err
	}

	if err := client.Delete(ctx, "typed", meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: ptr(types.UID("another"))}}); !errors.IsConflict(err) {
		return fmt.Errorf("delete of another UID: %v", err)
	}
	if err := client.Delete(ctx, "typed", meta.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if _, err := client.Get(ctx, "typed", meta.GetOptions{}); !errors.IsNotFound(err) {
		return fmt.Errorf("get after delete: %v", err)
	}
	if err := sawChanges(ctx, watching, "MODIFIED MODIFIED MODIFIED MODIFIED MODIFIED DELETED"); err != nil {
		return err
	}

	for _, name := range []string{"one", "two"} {
		if _, err := client.Create(ctx, kind.object(name, nil), meta.CreateOptions{}); err != nil {
			return err
		}
	}
	page, err := client.List(ctx, meta.ListOptions{LabelSelector: selection.LabelSelector, Limit: 1})
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	next, err := client.List(ctx, meta.ListOptions{LabelSelector: selection.LabelSelector, Limit: 1, Continue: any(page).(meta.ListInterface).GetContinue()})
	if err != nil {
		return fmt.Errorf("next page: %w", err)
	}
	if first, second := kind.items(page)[0].GetName(), kind.items(next)[0].GetName(); first != "one" || second != "two" {
		return fmt.Errorf("pages had %s and %s", first, second)
	}
	if err := client.DeleteCollection(ctx, meta.DeleteOptions{}, selection); err != nil {
		return fmt.Errorf("delete collection: %w", err)
	}
	if list, err = client.List(ctx, selection); err != nil || len(kind.items(list)) != 0 {
		return fmt.Errorf("list after delete collection: %v %w", kind.items(list), err)
	}
	return nil
}

func ptr[T any](value T) *T { return &value }

// sawChanges checks that the watch delivers these types of events, and in order of
// their revisions.
func sawChanges(ctx context.Context, watching watch.Interface, want string) error {
	var have []string
	for range strings.Fields(want) {
		select {
		case event, open := <-watching.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended after %v", have)
			}
			have = append(have, string(event.Type))
		case <-ctx.Done():
			return fmt.Errorf("the watch delivered %v before the end", have)
		}
	}
	if text := strings.Join(have, " "); text != want {
		return fmt.Errorf("the watch delivered %s, not %s", text, want)
	}
	return nil
}

// mediaTypes is a transport that keeps the media types of requests and responses.
type mediaTypes struct {
	next http.RoundTripper
	lock sync.Mutex
	// other are the requests whose bodies or responses were in another form.
	other []string
	count int
}

func (types *mediaTypes) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := types.next.RoundTrip(request)
	if err != nil {
		return response, err
	}
	types.lock.Lock()
	defer types.lock.Unlock()
	types.count++
	sent, received := request.Header.Get("Content-Type"), response.Header.Get("Content-Type")
	if !strings.HasPrefix(received, runtime.ContentTypeProtobuf) || sent != "" && request.Method != http.MethodPatch && sent != runtime.ContentTypeProtobuf {
		types.other = append(types.other, fmt.Sprintf("%s %s: sent %q, received %q", request.Method, request.URL.Path, sent, received))
	}
	return response, nil
}

func (types *mediaTypes) check() error {
	types.lock.Lock()
	defer types.lock.Unlock()
	if types.count == 0 || len(types.other) > 0 {
		return fmt.Errorf("%d of %d requests were not in protobuf: %s", len(types.other), types.count, strings.Join(types.other, "; "))
	}
	return nil
}

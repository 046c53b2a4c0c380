// Generates the fixtures of tests/api/protobuf: objects in the encoding of
// client-go, and the same objects as JSON. Run it in a directory with a go.mod that
// requires k8s.io/api and k8s.io/apimachinery 0.35: go run main.go DIR
package main

import (
	"os"
	"path/filepath"
	"time"

	authn "k8s.io/api/authentication/v1"
	authz "k8s.io/api/authorization/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	events "k8s.io/api/events/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
)

func pointer[T any](value T) *T { return &value }

func main() {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, events.AddToScheme, coordination.AddToScheme, authn.AddToScheme, authz.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	codecs := serializer.NewCodecFactory(scheme)
	at := meta.NewTime(time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC))
	micro := meta.NewMicroTime(time.Date(2024, 2, 3, 4, 5, 6, 789012000, time.UTC))
	about := func(name string) meta.ObjectMeta {
		return meta.ObjectMeta{
			Name: name, Namespace: "default",
			Labels:          map[string]string{"app": "x", "empty": ""},
			Annotations:     map[string]string{"example.com/note": "ä \"quoted\""},
			Finalizers:      []string{"example.com/f"},
			OwnerReferences: []meta.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u-1", Controller: pointer(true), BlockOwnerDeletion: pointer(false)}},
		}
	}
	namespace := about("fixture")
	namespace.Namespace = ""
	reference := core.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p", UID: "u-1", APIVersion: "v1", ResourceVersion: "7", FieldPath: "spec.containers{a}"}
	source := core.EventSource{Component: "kubelet", Host: "node"}
	for name, one := range map[string]struct {
		object  runtime.Object
		version schema.GroupVersion
	}{
		"namespace":      {&core.Namespace{ObjectMeta: namespace, Spec: core.NamespaceSpec{Finalizers: []core.FinalizerName{"example.com/mine"}}}, core.SchemeGroupVersion},
		"configmap":      {&core.ConfigMap{ObjectMeta: about("fixture"), Data: map[string]string{"a": "1", "b": ""}, BinaryData: map[string][]byte{"c": {0, 255, 10}}, Immutable: pointer(false)}, core.SchemeGroupVersion},
		"secret":         {&core.Secret{ObjectMeta: about("fixture"), Data: map[string][]byte{"a": []byte("password"), "b": {}}, StringData: map[string]string{"c": "text"}, Type: core.SecretTypeOpaque}, core.SchemeGroupVersion},
		"serviceaccount": {&core.ServiceAccount{ObjectMeta: about("fixture"), Secrets: []core.ObjectReference{{Name: "s"}}, ImagePullSecrets: []core.LocalObjectReference{{Name: "pull"}}, AutomountServiceAccountToken: pointer(false)}, core.SchemeGroupVersion},
		"event": {&core.Event{ObjectMeta: about("fixture"), InvolvedObject: reference, Reason: "Started", Message: "m", Source: source, FirstTimestamp: at, LastTimestamp: at, Count: 3, Type: "Normal", EventTime: micro,
			Series: &core.EventSeries{Count: 2, LastObservedTime: micro}, Action: "Start", Related: &reference, ReportingController: "example.com/c", ReportingInstance: "c-1"}, core.SchemeGroupVersion},
		"newevent": {&events.Event{ObjectMeta: about("fixture"), EventTime: micro, Series: &events.EventSeries{Count: 2, LastObservedTime: micro}, ReportingController: "example.com/c", ReportingInstance: "c-1", Action: "Start",
			Reason: "Started", Regarding: reference, Related: &reference, Note: "n", Type: "Warning"}, events.SchemeGroupVersion},
		"lease": {&coordination.Lease{ObjectMeta: about("fixture"), Spec: coordination.LeaseSpec{HolderIdentity: pointer("me"), LeaseDurationSeconds: pointer(int32(15)), AcquireTime: &micro, RenewTime: &micro, LeaseTransitions: pointer(int32(0))}}, coordination.SchemeGroupVersion},
		"deleteoptions": {&meta.DeleteOptions{GracePeriodSeconds: pointer(int64(0)), Preconditions: &meta.Preconditions{UID: pointer(types.UID("another"))},
			PropagationPolicy: pointer(meta.DeletePropagationBackground)}, core.SchemeGroupVersion},
		"deletedryrun":            {&meta.DeleteOptions{DryRun: []string{"All"}, OrphanDependents: pointer(false)}, core.SchemeGroupVersion},
		"tokenreview":             {&authn.TokenReview{Spec: authn.TokenReviewSpec{Token: "secret-token", Audiences: []string{"a"}}}, authn.SchemeGroupVersion},
		"selfsubjectreview":       {&authn.SelfSubjectReview{}, authn.SchemeGroupVersion},
		"selfsubjectaccessreview": {&authz.SelfSubjectAccessReview{Spec: authz.SelfSubjectAccessReviewSpec{ResourceAttributes: &authz.ResourceAttributes{Namespace: "default", Verb: "get", Resource: "pods"}}}, authz.SchemeGroupVersion},
		"subjectaccessreview":     {&authz.SubjectAccessReview{Spec: authz.SubjectAccessReviewSpec{NonResourceAttributes: &authz.NonResourceAttributes{Path: "/metrics", Verb: "get"}, User: "alice", Groups: []string{"g"}, UID: "1", Extra: map[string]authz.ExtraValue{"scopes": {"a", "b"}}}}, authz.SchemeGroupVersion},
		"selfsubjectrulesreview":  {&authz.SelfSubjectRulesReview{Spec: authz.SelfSubjectRulesReviewSpec{Namespace: "default"}}, authz.SchemeGroupVersion},
	} {
		for media, ending := range map[string]string{runtime.ContentTypeProtobuf: ".bin", runtime.ContentTypeJSON: ".json"} {
			info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), media)
			if !ok {
				panic(media)
			}
			body, err := runtime.Encode(codecs.EncoderForVersion(info.Serializer, one.version), one.object)
			if err != nil {
				panic(err)
			}
			if err := os.WriteFile(filepath.Join(os.Args[1], name+ending), body, 0o644); err != nil {
				panic(err)
			}
		}
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	controllers "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var notes = schema.GroupVersion{Group: "clients.rdd.example", Version: "v1"}

const finalizer = "clients.rdd.example/finalizer"

// Note is the operator's own kind; bats/clients/go/note.yaml defines it.
type Note struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata,omitempty"`
	Spec            struct {
		Text string `json:"text"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64  `json:"observedGeneration,omitempty"`
		Operator           string `json:"operator,omitempty"`
	} `json:"status,omitempty"`
}

// NoteList is a list of notes.
type NoteList struct {
	meta.TypeMeta `json:",inline"`
	meta.ListMeta `json:"metadata,omitempty"`
	Items         []Note `json:"items"`
}

// DeepCopyObject returns a copy that shares nothing.
func (note *Note) DeepCopyObject() runtime.Object {
	copied := *note
	note.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

// DeepCopyObject returns a copy that shares nothing.
func (list *NoteList) DeepCopyObject() runtime.Object {
	copied := *list
	list.ListMeta.DeepCopyInto(&copied.ListMeta)
	copied.Items = nil
	for i := range list.Items {
		copied.Items = append(copied.Items, *list.Items[i].DeepCopyObject().(*Note))
	}
	return &copied
}

// runOperator keeps a ConfigMap with the text of each Note, which it owns, while it is
// the leader. Its argument is its name. Prints "leading" when it leads.
func runOperator(ctx context.Context, at place) error {
	log.SetLogger(zap.New())
	notesScheme := runtime.NewScheme()
	if err := scheme.AddToScheme(notesScheme); err != nil {
		return err
	}
	notesScheme.AddKnownTypes(notes, &Note{}, &NoteList{})
	meta.AddToGroupVersion(notesScheme, notes)
	manager, err := controllers.NewManager(at.config, controllers.Options{
		Scheme:                        notesScheme,
		Metrics:                       server.Options{BindAddress: "0"},
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{at.namespace: {}}},
		LeaderElection:                true,
		LeaderElectionID:              "operator.clients.rdd.example",
		LeaderElectionNamespace:       at.namespace,
		LeaderElectionReleaseOnCancel: true,
		// Longer than the daemon is away; only a release lets the next one lead.
		LeaseDuration: ptr(10 * time.Minute),
		RenewDeadline: ptr(9 * time.Minute),
		RetryPeriod:   ptr(time.Second),
	})
	if err != nil {
		return err
	}
	reconciler := &noteReconciler{manager.GetClient(), at.arguments[0]}
	if err := controllers.NewControllerManagedBy(manager).For(&Note{}).Owns(&core.ConfigMap{}).Complete(reconciler); err != nil {
		return err
	}
	go func() {
		<-manager.Elected()
		fmt.Println("leading")
	}()
	return manager.Start(ctx)
}

type noteReconciler struct {
	client.Client
	operator string
}

// Reconcile brings the ConfigMap of one Note up to date.
func (reconciler *noteReconciler) Reconcile(ctx context.Context, request controllers.Request) (controllers.Result, error) {
	note := &Note{}
	if err := reconciler.Get(ctx, request.NamespacedName, note); err != nil {
		return controllers.Result{}, client.IgnoreNotFound(err)
	}
	if !note.DeletionTimestamp.IsZero() {
		return controllers.Result{}, reconciler.finalize(ctx, note)
	}
	if controllerutil.AddFinalizer(note, finalizer) {
		if err := reconciler.Update(ctx, note); err != nil {
			return controllers.Result{}, err
		}
	}
	owned := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: note.Name, Namespace: note.Namespace}}
	outcome, err := controllerutil.CreateOrUpdate(ctx, reconciler.Client, owned, func() error {
		owned.Data = map[string]string{"text": note.Spec.Text}
		return controllerutil.SetControllerReference(note, owned, reconciler.Scheme())
	})
	if err != nil {
		return controllers.Result{}, err
	}
	if outcome != controllerutil.OperationResultNone {
		fmt.Println(outcome, note.Name, note.Spec.Text)
	}
	if note.Status.ObservedGeneration == note.Generation && note.Status.Operator == reconciler.operator {
		return controllers.Result{}, nil
	}
	before := note.DeepCopyObject().(*Note)
	note.Status.ObservedGeneration, note.Status.Operator = note.Generation, reconciler.operator
	return controllers.Result{}, reconciler.Status().Patch(ctx, note, client.MergeFrom(before))
}

// finalize leaves a ConfigMap that shows that it ran, and lets the Note go.
func (reconciler *noteReconciler) finalize(ctx context.Context, note *Note) error {
	if !controllerutil.ContainsFinalizer(note, finalizer) {
		return nil
	}
	trace := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: note.Name + "-finalized", Namespace: note.Namespace}}
	if err := reconciler.Create(ctx, trace); err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	fmt.Println("finalized", note.Name)
	controllerutil.RemoveFinalizer(note, finalizer)
	return client.IgnoreNotFound(reconciler.Update(ctx, note))
}

package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// watchWithInformer prints each event of a shared informer for ConfigMaps with the
// label client=go:
//
//	synced
//	add NAME VALUE
//	update NAME VALUE
//	listed NAME VALUE    an update to the same version, which follows a new list
//	delete NAME VALUE
func watchWithInformer(ctx context.Context, at place) error {
	client, err := kubernetes.NewForConfig(at.config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(at.namespace),
		informers.WithTweakListOptions(func(options *meta.ListOptions) { options.LabelSelector = "client=go" }))
	informer := factory.Core().V1().ConfigMaps().Informer()
	show := func(what string, object any) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if object, ok := object.(*core.ConfigMap); ok {
			fmt.Println(what, object.Name, object.Data["key"])
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { show("add", object) },
		DeleteFunc: func(object any) { show("delete", object) },
		UpdateFunc: func(before, after any) {
			if before.(*core.ConfigMap).ResourceVersion == after.(*core.ConfigMap).ResourceVersion {
				show("listed", after)
			} else {
				show("update", after)
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("the informer for %v did not sync", kind)
		}
	}
	fmt.Println("synced")
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

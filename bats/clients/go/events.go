package main

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

// recordEvents records an event about a ConfigMap three times with each recorder, and
// waits until the server has counted them in one event each.
func recordEvents(ctx context.Context, at place) error {
	client, err := kubernetes.NewForConfig(at.config)
	if err != nil {
		return err
	}
	about, err := client.CoreV1().ConfigMaps(at.namespace).Create(ctx, &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "subject"}}, meta.CreateOptions{})
	if err != nil {
		return err
	}

	older := record.NewBroadcaster(record.WithContext(ctx))
	defer older.Shutdown()
	older.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
	old := older.NewRecorder(scheme.Scheme, core.EventSource{Component: "core-recorder"})
	for range 3 {
		old.Eventf(about, core.EventTypeWarning, "Tried", "tried %s", "again")
	}

	newer := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	defer newer.Shutdown()
	if err := newer.StartRecordingToSinkWithContext(ctx); err != nil {
		return err
	}
	recorder := newer.NewRecorder(scheme.Scheme, "example.com/recorder")
	recorder.Eventf(about, nil, core.EventTypeNormal, "Noted", "Note", "noted %s", "it")
	// The recorder sends concurrently; the series begins when its first event exists.
	err = until(ctx, func(ctx context.Context) (bool, error) {
		list, err := client.EventsV1().Events(at.namespace).List(ctx, meta.ListOptions{FieldSelector: "reason=Noted"})
		return err == nil && len(list.Items) == 1, err
	})
	if err != nil {
		return fmt.Errorf("no event of events.k8s.io: %w", err)
	}
	recorder.Eventf(about, nil, core.EventTypeNormal, "Noted", "Note", "noted %s", "it")

	err = until(ctx, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Events(at.namespace).List(ctx, meta.ListOptions{FieldSelector: "involvedObject.name=subject,reason=Tried"})
		if err != nil || len(list.Items) != 1 {
			return false, err
		}
		event := list.Items[0]
		return event.Count == 3 && event.Source.Component == "core-recorder" && event.InvolvedObject.UID == about.UID, nil
	})
	if err != nil {
		return fmt.Errorf("the events of core were not counted: %w", err)
	}
	fmt.Println("counted core")
	err = until(ctx, func(ctx context.Context) (bool, error) {
		list, err := client.EventsV1().Events(at.namespace).List(ctx, meta.ListOptions{FieldSelector: "regarding.name=subject,reason=Noted"})
		if err != nil || len(list.Items) != 1 {
			return false, err
		}
		series := list.Items[0].Series
		return series != nil && series.Count == 2 && list.Items[0].Note == "noted it", nil
	})
	if err != nil {
		return fmt.Errorf("the events of events.k8s.io are no series: %w", err)
	}
	fmt.Println("counted events.k8s.io")
	return nil
}

// until polls until the condition is true; the caller's time limit ends it.
func until(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, condition)
}

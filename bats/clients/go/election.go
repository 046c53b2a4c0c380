package main

import (
	"context"
	"fmt"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// takePartInElection is a candidate for the Lease "election" with the identity in its
// argument. It prints "leading" when it leads, and "leader NAME" when that changes.
func takePartInElection(ctx context.Context, at place) error {
	client, err := kubernetes.NewForConfig(at.config)
	if err != nil {
		return err
	}
	identity := at.arguments[0]
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  meta.ObjectMeta{Name: "election", Namespace: at.namespace},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		// Long enough that nobody takes over from a leader that was stopped for a while:
		// only a release lets the next one lead.
		LeaseDuration:   10 * time.Minute,
		RenewDeadline:   9 * time.Minute,
		RetryPeriod:     time.Second,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { fmt.Println("leading") },
			OnStoppedLeading: func() { fmt.Println("stopped") },
			OnNewLeader:      func(leader string) { fmt.Println("leader", leader) },
		},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	return nil
}

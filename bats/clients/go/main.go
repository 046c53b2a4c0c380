// Clients of the Kubernetes API in Go, for bats/tests/53-clients.bats: client-go and
// controller-runtime, unmodified and with their defaults.
//
//	clients CLIENT KUBECONFIG NAMESPACE [ARGUMENT…]
//
// A client prints what it sees, ends with 0 when everything was as expected, and ends
// on SIGTERM if it has no end of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// place is where a client works.
type place struct {
	config    *rest.Config
	namespace string
	arguments []string
}

var clients = map[string]func(context.Context, place) error{
	"typed":   useTypedClients,
	"watch":   watchWithInformer,
	"dynamic": useDynamicClient,
	"elect":   takePartInElection,
	"record":  recordEvents,
	"operate": runOperator,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 3 || clients[arguments[0]] == nil {
		return fmt.Errorf("usage: clients CLIENT KUBECONFIG NAMESPACE [ARGUMENT…]")
	}
	config, err := clientcmd.BuildConfigFromFlags("", arguments[1])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return clients[arguments[0]](ctx, place{config, arguments[2], arguments[3:]})
}

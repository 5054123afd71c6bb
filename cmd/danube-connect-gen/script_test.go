package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// update rewrites what scripts compare with: UPDATE=1 go test ./cmd/danube-connect-gen
var update = os.Getenv("UPDATE") != ""

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"danube-connect-gen": main})
}

func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TERM", "xterm-256color")
			return nil
		},
		Condition: func(cond string) (bool, error) { return cond == "root" && os.Geteuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"broker": startBroker,
			"waits":  waits,
		},
	})
}

// exits runs the command and compares its exit status: exits 2 danube-connect-gen new sink. What it prints can be looked at with
// stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS command [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	status := "0"
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		status = strconv.Itoa(exit.ExitCode())
	}
	if status != args[0] {
		ts.Fatalf("%s exited %s, want %s", args[1], status, args[0])
	}
}

// startBroker serves a broker for the script; $BROKER and $ADMIN are its URLs.
func startBroker(ts *testscript.TestScript, _ bool, _ []string) {
	b, err := danubetest.New()
	ts.Check(err)
	var ports [2]net.Listener
	for i := range ports {
		ports[i], err = net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
	}
	ts.Check(b.Serve(ports[0], ports[1]))
	ts.Defer(b.Close)
	ts.Setenv("BROKER", b.URL())
	ts.Setenv("ADMIN", b.AdminURL())
	brokers.Store(ts.Name(), b)
}

// brokers holds the broker of each running script.
var brokers sync.Map

// waits goes on when a consumer is attached: waits TOPIC SUBSCRIPTION.
func waits(ts *testscript.TestScript, neg bool, args []string) {
	b, ok := brokers.Load(ts.Name())
	if neg || len(args) != 2 || !ok {
		ts.Fatalf("usage: broker, then waits TOPIC SUBSCRIPTION")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ts.Check(b.(*danubetest.Broker).WaitFor(ctx, func() bool {
		s, _ := b.(*danubetest.Broker).Subscription(args[0], args[1])
		return len(s.Connected) > 0
	}))
}

package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// BenchmarkBrokerIdle tells what 1,000 topics with 3 connected subscriptions each cost a broker process while nothing happens: its
// memory, and its share of one core over five seconds.
func BenchmarkBrokerIdle(b *testing.B) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("reads a process's memory and time from /proc")
	}
	addr, pid := startBroker(b)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(b, err)
	defer conn.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for i := range 1000 {
		name := fmt.Sprintf("/default/idle%d", i)
		_, err := danubepb.NewProducerServiceClient(conn).CreateProducer(ctx, &danubepb.ProducerRequest{
			ProducerName: "p", TopicName: name, DispatchStrategy: danubepb.DispatchStrategy_Reliable,
		})
		must(b, err)
		for s := range 3 {
			consumers := danubepb.NewConsumerServiceClient(conn)
			resp, err := consumers.Subscribe(ctx, &danubepb.ConsumerRequest{TopicName: name, Subscription: strconv.Itoa(s), ConsumerName: "c"})
			must(b, err)
			stream, err := consumers.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: resp.GetConsumerId()})
			must(b, err)
			_, err = stream.Header()
			must(b, err)
		}
	}
	const look = 5 * time.Second
	before := cpuTime(b, pid)
	time.Sleep(look)
	used := cpuTime(b, pid) - before
	b.ReportMetric(residentMiB(b, pid), "MiB")
	b.ReportMetric(100*used.Seconds()/look.Seconds(), "%core")
	b.ReportMetric(0, "ns/op")
}

// startBroker builds the command and runs its broker until the benchmark ends.
func startBroker(b *testing.B) (addr string, pid int) {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "danube-connect-gen")
	build := exec.Command("go", "build", "-o", bin, "./cmd/danube-connect-gen")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the command: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "broker", "--listen", "127.0.0.1:0", "--admin-listen", "")
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		must(b, cmd.Process.Signal(syscall.SIGTERM))
		must(b, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(b, err)
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "http://")
	if !ok {
		b.Fatalf("the broker's first line is %q", line)
	}
	return addr, cmd.Process.Pid
}

// cpuTime is what a process has used, in user and system mode.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, i := range []int{11, 12} {
		n, err := strconv.Atoi(fields[i])
		must(b, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // Linux counts in hundredths for every process that looks
}

func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			must(b, err)
			return float64(kib) / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

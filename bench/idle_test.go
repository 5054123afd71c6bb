package bench

import (
	"bufio"
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
// memory, its open files, and its share of one core over five seconds. On disk each topic has a message and the file it is in; there
// it also tells how long the next start takes after the process was killed.
func BenchmarkBrokerIdle(b *testing.B) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("reads a process's memory and time from /proc")
	}
	bin := buildCommand(b)
	b.Run("memory", func(b *testing.B) {
		broker := startBroker(b, bin)
		defer broker.end(b, syscall.SIGTERM)
		makeIdle(b, broker.addr, false)
		broker.reportIdle(b)
	})
	b.Run("disk", func(b *testing.B) {
		dir := b.TempDir()
		broker := startBroker(b, bin, "--data-dir", dir)
		makeIdle(b, broker.addr, true)
		broker.reportIdle(b)
		broker.end(b, syscall.SIGKILL)
		before := time.Now()
		broker = startBroker(b, bin, "--data-dir", dir)
		b.ReportMetric(float64(time.Since(before).Milliseconds()), "start-ms")
		broker.end(b, syscall.SIGTERM)
	})
}

// makeIdle makes topics and subscriptions, whose streams stay open until the benchmark ends.
func makeIdle(b *testing.B, addr string, filled bool) {
	b.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(b, err)
	b.Cleanup(func() { conn.Close() })
	ctx := b.Context()
	producers, consumers := danubepb.NewProducerServiceClient(conn), danubepb.NewConsumerServiceClient(conn)
	for i := range 1000 {
		name := fmt.Sprintf("/default/idle%d", i)
		p, err := producers.CreateProducer(ctx, &danubepb.ProducerRequest{
			ProducerName: "p", TopicName: name, DispatchStrategy: danubepb.DispatchStrategy_Reliable,
		})
		must(b, err)
		if filled {
			_, err := producers.SendMessage(ctx, &danubepb.StreamMessage{
				MsgId: &danubepb.MsgID{ProducerId: p.GetProducerId(), TopicName: name}, Payload: make([]byte, payload), ProducerName: "p",
			})
			must(b, err)
		}
		for s := range 3 {
			resp, err := consumers.Subscribe(ctx, &danubepb.ConsumerRequest{TopicName: name, Subscription: strconv.Itoa(s), ConsumerName: "c"})
			must(b, err)
			stream, err := consumers.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: resp.GetConsumerId()})
			must(b, err)
			_, err = stream.Header()
			must(b, err)
		}
	}
}

// A process is a running broker.
type process struct {
	addr string
	cmd  *exec.Cmd
}

func (p process) reportIdle(b *testing.B) {
	b.Helper()
	pid := p.cmd.Process.Pid
	const look = 5 * time.Second
	before := cpuTime(b, pid)
	time.Sleep(look)
	used := cpuTime(b, pid) - before
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(b, err)
	b.ReportMetric(residentMiB(b, pid), "MiB")
	b.ReportMetric(100*used.Seconds()/look.Seconds(), "%core")
	b.ReportMetric(float64(len(open)), "files")
	b.ReportMetric(0, "ns/op")
}

func (p process) end(b *testing.B, sig os.Signal) {
	b.Helper()
	must(b, p.cmd.Process.Signal(sig))
	if err := p.cmd.Wait(); err != nil && sig != syscall.SIGKILL {
		b.Fatalf("the broker ended with: %v", err)
	}
}

func buildCommand(b *testing.B) (bin string) {
	b.Helper()
	bin = filepath.Join(b.TempDir(), "danube-connect-gen")
	build := exec.Command("go", "build", "-o", bin, "./cmd/danube-connect-gen")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the command: %v\n%s", err, out)
	}
	return bin
}

// startBroker returns when the broker is ready.
func startBroker(b *testing.B, bin string, args ...string) process {
	b.Helper()
	cmd := exec.Command(bin, append([]string{"broker", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the benchmark failed
	line, err := bufio.NewReader(out).ReadString('\n')
	must(b, err)
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "http://")
	if !ok {
		b.Fatalf("the broker's first line is %q", line)
	}
	return process{addr: addr, cmd: cmd}
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

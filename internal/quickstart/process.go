package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// processes are those that the demonstration started, in order.
type processes struct {
	mu  sync.Mutex
	all []*process
}

// A process is a program at work.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// start runs a program whose output goes to a log file in dir; env is added to the environment.
func (ps *processes) start(name, dir string, env []string, program string, args ...string) (*process, error) {
	log := dir + "/" + name + ".log"
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all = append(ps.all, p)
	return p, nil
}

// kill ends the process without notice, as a crash would.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// stop asks the process to end and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s did not stop within 30 s of SIGTERM: %w", p.name, p.kill())
	}
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Errorf("%s ended with exit status %d:\n%s", p.name, code, p.tail())
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail is the end of the process's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// stopAll ends what is still running, last started first.
func (ps *processes) stopAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i := len(ps.all) - 1; i >= 0; i-- {
		if p := ps.all[i]; !p.ended() {
			if err := p.stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
}

// peakMiB is the largest memory that any process of this name had, in MiB; they must have ended.
func (ps *processes) peakMiB(name string) float64 {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var peak float64
	for _, p := range ps.all {
		if p.name != name || !p.ended() {
			continue
		}
		if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			unit := 1024.0 // KiB on Linux
			if runtime.GOOS == "darwin" {
				unit = 1024 * 1024
			}
			peak = max(peak, float64(usage.Maxrss)/unit)
		}
	}
	return peak
}

// waitUntil asks met every few milliseconds: there is nothing to be told by, the processes are strangers to this one.
func waitUntil(ctx context.Context, limit time.Duration, what string, met func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %v in vain for %s", limit, what)
		}
	}
	return nil
}

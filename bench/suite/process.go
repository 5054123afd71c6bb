package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// roleEnv says which part this program plays: none, it is the suite.
const roleEnv = "DANUBE_BENCH_ROLE"

// play is a child's work: its job comes on in, what it found goes to out.
func play(role string, in io.Reader, out io.Writer) error {
	var job Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	switch role {
	case "broker":
		return serveBroker(job, in, out)
	case "nothing":
		return serveNothing(in, out)
	case "job":
		o, err := do(job)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(o)
	}
	return fmt.Errorf("no role %q", role)
}

func child(ctx context.Context, role string, job Job) (*exec.Cmd, []byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	input, err := json.Marshal(job)
	return cmd, append(input, '\n'), err
}

func runJob(ctx context.Context, job Job) (Outcome, error) {
	cmd, input, err := child(ctx, "job", job)
	if err != nil {
		return Outcome{}, err
	}
	cmd.Stdin = bytes.NewReader(input)
	output, err := cmd.Output()
	if err != nil {
		return Outcome{}, err
	}
	var o Outcome
	return o, json.Unmarshal(output, &o)
}

// A server is a child that serves until its input ends.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
}

func startServer(ctx context.Context, role string, job Job) (*server, error) {
	cmd, input, err := child(ctx, role, job)
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_, err = stdin.Write(input)
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	if err := errors.Join(err, readErr); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", role, err), cmd.Process.Kill(), cmd.Wait())
	}
	return &server{cmd: cmd, stdin: stdin, url: strings.TrimSpace(line)}, nil
}

// stop ends the server and tells the processor time that it took in all.
func (s *server) stop() (time.Duration, error) {
	err := errors.Join(s.stdin.Close(), s.cmd.Wait())
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime(), err
}

package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A meter measures this process between start and stop.
type meter struct {
	began  time.Time
	cpu    time.Duration
	allocs uint64
}

func startMeter() meter {
	return meter{cpu: processTime(), allocs: mallocs(), began: time.Now()}
}

func (m meter) stop(messages int) (Outcome, error) {
	took, cpu, allocs := time.Since(m.began), processTime()-m.cpu, mallocs()-m.allocs
	peak, err := peakMemory()
	n := float64(max(messages, 1))
	return Outcome{
		Messages: messages, Seconds: took.Seconds(), CPU: cpu.Seconds() * 1e6 / n, Allocs: float64(allocs) / n, PeakMiB: peak,
	}, err
}

func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func mallocs() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.Mallocs
}

// peakMemory is the largest resident set so far, in MiB.
func peakMemory() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}

// percentile is of sorted times, in milliseconds.
func percentile(times []time.Duration, p float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[int(float64(len(times)-1)*p)].Microseconds()) / 1000
}

func sorted(times []time.Duration) []time.Duration {
	slices.Sort(times)
	return times
}

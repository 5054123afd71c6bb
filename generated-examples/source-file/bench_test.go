package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRead reads a file of 64 MiB once, in lines of several lengths.
func BenchmarkRead(b *testing.B) {
	for _, length := range []int{100, 200, 1000} {
		b.Run(fmt.Sprintf("%d bytes a line", length), func(b *testing.B) {
			f := newFolder(b)
			const total = 64 << 20
			line := append(bytes.Repeat([]byte("x"), length-1), '\n')
			require.NoError(b, os.WriteFile(f.path("app.log"), bytes.Repeat(line, total/length), 0o644))
			c := f.config("app.log")
			c.Follow = false
			b.SetBytes(int64(total / length * length))
			b.ReportAllocs()
			lines := 0
			for b.Loop() {
				s, err := newSource(c, nil)
				require.NoError(b, err)
				for {
					batch, err := s.Read(context.Background())
					if err != nil {
						break
					}
					lines += len(batch.Records)
				}
				require.NoError(b, s.Close())
			}
			require.Equal(b, b.N*(total/length), lines)
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
